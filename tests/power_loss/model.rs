//! What the disk's model allows, and what it does not.

use super::disk::Disk;
use super::fates::{Fate, Kind, fates};
use super::image::Image;
use super::operation::Operation;

/// Does operations one after the other, each from its begin to its end.
fn after(operations: &[Operation]) -> Disk {
    let mut disk = Disk::new(Image::default());
    for (at, operation) in operations.iter().enumerate() {
        disk.begin(at, operation);
        disk.end(at);
    }
    disk
}

/// A draft in `tmp` with its content and, in `synced`, what was synced of it.
fn draft(synced: &[&str]) -> Vec<Operation> {
    let mut operations: Vec<Operation> = ["tmp", "new"].map(|name| Operation::MakeDirectory(name.into())).into();
    operations.push(Operation::Sync("".into()));
    operations.push(Operation::Create("tmp/a".into()));
    operations.push(Operation::Write { path: "tmp/a".into(), offset: 0, data: vec![b'x'; 1024] });
    operations.extend(synced.iter().map(|path| Operation::Sync(path.into())));
    operations
}

fn files(image: &Image) -> Vec<String> {
    image.paths().iter().map(|path| path.display().to_string()).collect()
}

#[test]
fn the_sync_of_a_file_does_not_cover_its_name_nor_that_of_a_directory_the_content() {
    assert_eq!(after(&draft(&[])).pending(), [Kind::Whole, Kind::Data]);
    assert_eq!(after(&draft(&["tmp/a"])).pending(), [Kind::Whole]);
    assert_eq!(after(&draft(&["tmp"])).pending(), [Kind::Data]);
    assert!(after(&draft(&["tmp/a", "tmp"])).pending().is_empty());
    assert!(files(&after(&draft(&["tmp/a"])).after(&[Fate::Lost])).is_empty());
}

#[test]
fn a_sync_of_everything_covers_what_had_ended_when_it_began() {
    let mut disk = after(&draft(&[]));
    disk.begin(10, &Operation::Write { path: "tmp/a".into(), offset: 1024, data: vec![b'y'] });
    disk.begin(11, &Operation::SyncAll);
    disk.end(10);
    disk.end(11);
    assert_eq!(disk.pending(), [Kind::Data]);
}

#[test]
fn a_sync_covers_only_what_had_ended_when_it_began() {
    let mut disk = after(&draft(&["tmp"]));
    disk.begin(10, &Operation::Write { path: "tmp/a".into(), offset: 1024, data: vec![b'y'] });
    disk.begin(11, &Operation::Sync("tmp/a".into()));
    assert_eq!(disk.pending().len(), 2);
    disk.end(10);
    disk.end(11);
    assert_eq!(disk.pending(), [Kind::Data]);
}

#[test]
fn a_rename_may_leave_both_names_and_never_none() {
    let mut disk = after(&draft(&["tmp/a", "tmp"]));
    disk.begin(10, &Operation::Rename { from: "tmp/a".into(), to: "new/a".into() });
    disk.end(10);
    assert_eq!(files(&disk.after(&[Fate::Kept, Fate::Kept])), ["new/a"]);
    assert_eq!(files(&disk.after(&[Fate::Kept, Fate::Lost])), ["new/a", "tmp/a"]);
    assert_eq!(files(&disk.after(&[Fate::Lost, Fate::Kept])), ["tmp/a"]);
    disk.begin(11, &Operation::Sync("tmp".into()));
    disk.end(11);
    assert!(disk.pending().is_empty(), "the loss of the old name brings the new one with it");
}

#[test]
fn a_torn_write_leaves_whole_sectors() {
    let disk = after(&draft(&["tmp"]));
    let content = |fate| disk.after(&[fate]).files.into_values().next().expect("a file").to_vec();
    assert_eq!(content(Fate::Kept), [b'x'; 1024]);
    assert_eq!(content(Fate::Zeroed), [0; 1024]);
    assert!(content(Fate::Lost).is_empty());
    let mut torn: Vec<Vec<u8>> = (0..50).map(|seed| content(Fate::Torn(seed))).collect();
    torn.sort();
    torn.dedup();
    let half = [[0; 512], [b'x'; 512]].concat();
    assert_eq!(torn, [vec![], half, vec![b'x'; 512], vec![b'x'; 1024]]);
}

#[test]
fn few_effects_are_combined_in_all_ways_and_many_in_some() {
    let mut random = fastrand::Rng::with_seed(1);
    assert_eq!(fates(&[Kind::Whole; 6], 64, &mut random).len(), 64);
    assert_eq!(fates(&[Kind::Data; 3], 64, &mut random).len(), 64);
    let some = fates(&[Kind::Whole; 7], 20, &mut random);
    assert_eq!(some.len(), 20);
    assert!(some.contains(&vec![Fate::Kept; 7]) && some.contains(&vec![Fate::Lost; 7]));
}
