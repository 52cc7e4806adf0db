//! What becomes of a listing after the state was lost, in tables.

use std::time::Duration;

use super::*;
use crate::header::Head;
use crate::plan::{Delivery, DeliveryState};

const HOME: &str = "/home/mail";

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn key(index: usize) -> MessageKey {
    MessageKey::new(format!("uid{index}").as_bytes(), 0).expect("a key")
}

fn place(destination: &str, location: &str) -> Place {
    match location.starts_with('/') {
        true => Place::maildir(name(destination), location, "machine"),
        false => Place::server(name(destination), "smtp", location, "a@b"),
    }
}

/// A Maildir `home` and, perhaps, a server `hub`.
fn places(home: bool, hub: bool) -> Vec<(Place, bool)> {
    let both = [(home, place("home", HOME), true), (hub, place("hub", "hub:25"), false)];
    both.into_iter().filter(|(is_there, ..)| *is_there).map(|(_, place, is_maildir)| (place, is_maildir)).collect()
}

/// Messages of an account of which the first `found` lie in a Maildir.
struct Listing {
    files: Files,
    held: HashMap<PathBuf, Held>,
    keys: Vec<Option<MessageKey>>,
}

fn listing(total: usize, found: usize, maildir: &str, header_only: bool) -> Listing {
    let (mut files, mut held) = (Files::new(), HashMap::new());
    for index in 0..found {
        let token = maildir::token(&Origin::of(&name("a")), &key(index));
        let file = FoundFile { token: token.clone(), name: format!("cur/{index}.host:2,S"), at: 1000 };
        held.insert(
            Path::new(maildir).join(&file.name),
            Held { octets: 5, digest: [7; 32], header_only, head: Head::default() },
        );
        files.insert(token, vec![(maildir.into(), file)]);
    }
    Listing { files, held, keys: (0..total).map(|index| Some(key(index))).collect() }
}

fn judged(
    listing: &Listing,
    standings: &[Option<Standing>],
    lost: Lost,
    places: &[(Place, bool)],
    policy: &Policy,
) -> Result<(Adoption, Count), PollError> {
    let (account, Listing { files, held, keys }) = (name("a"), listing);
    let origins = [Origin::of(&account)];
    judge(&Case { account: &account, origins: &origins, policy, lost, places, files, held }, keys, standings)
}

#[test]
fn nothing_is_fetched_by_a_guess() {
    let (keep, delete) = (Retention::Keep, Retention::Delete);
    let fortnight = Retention::After(Duration::from_secs(14 * 86_400));
    for (total, found, maildir, retention, initial, asks) in [
        (10, 10, true, keep, Initial::All, false),
        (10, 5, true, keep, Initial::All, false),
        (10, 4, true, keep, Initial::All, true),
        (1, 0, true, keep, Initial::All, true),
        (0, 0, true, keep, Initial::All, false),
        (10, 4, true, fortnight, Initial::All, true),
        // What is still there was not deleted, so it was not delivered.
        (10, 0, true, delete, Initial::All, false),
        // What is still there may be what was to be left alone.
        (10, 9, true, delete, Initial::None, true),
        (10, 9, true, fortnight, Initial::Since(Duration::from_secs(1)), true),
        (10, 10, true, delete, Initial::None, false),
        (10, 9, true, keep, Initial::None, false),
        // A server cannot be searched.
        (10, 0, false, keep, Initial::All, true),
        (1, 0, false, delete, Initial::All, true),
        (0, 0, false, keep, Initial::All, false),
    ] {
        let policy = Policy { retention, initial, ..Policy::default() };
        let listing = listing(total, found, HOME, false);
        let standings = vec![None; total];
        let places = places(maildir, !maildir);
        let case = format!("{found} of {total}, a Maildir {maildir}, {policy:?}");
        let result = judged(&listing, &standings, Lost::Lost, &places, &policy);
        assert_eq!(matches!(result, Err(PollError::Lost { .. })), asks, "{case}");
        for decided in [Lost::Seen, Lost::FetchAgain, Lost::Unknown] {
            let (adoption, _) = judged(&listing, &standings, decided, &places, &policy).expect(&case);
            let left = if decided == Lost::Seen { total - found } else { 0 };
            assert_eq!(adoption.ignored.len(), left, "{decided:?}: {case}");
            // Where there was no state, `initial` is still to be applied.
            assert_eq!(adoption.begun, decided != Lost::Unknown);
        }
    }
}

#[test]
fn what_is_on_record_counts_as_found_and_is_left_as_it_is() {
    let listing = listing(3, 0, HOME, false);
    let standings = [Some(Standing::Done(5)), Some(Standing::Ignored), None];
    let (adoption, count) =
        judged(&listing, &standings, Lost::Lost, &places(true, false), &Policy::default()).expect("enough is known");
    assert_eq!((adoption.messages, count), (vec![], Count { found: 2, total: 3 }));
}

#[test]
fn where_nobody_can_look_is_left_to_the_operator_unless_he_wants_it_fetched() {
    let listing = listing(1, 1, HOME, false);
    let delivered = (place("home", HOME), Whereabouts::Delivered("0.host".into(), 1000));
    for (lost, unclear) in [(Lost::Lost, true), (Lost::Seen, true), (Lost::Unknown, true), (Lost::FetchAgain, false)] {
        let (adoption, _) = judged(&listing, &[None], lost, &places(true, true), &Policy::default()).expect("found");
        let [message] = &adoption.messages[..] else { panic!("one message: {adoption:?}") };
        let identity = Identity { digest: Some([7; 32]), ..Identity::default() };
        assert_eq!((message.places[0].clone(), message.content.clone()), (delivered.clone(), Some((5, identity))));
        assert_eq!((message.places.len(), message.is_unclear()), (1 + usize::from(unclear), unclear), "{lost:?}");
    }
}

#[test]
fn a_file_counts_for_its_own_maildir_and_for_any_if_there_is_but_one_destination() {
    let listing = listing(1, 1, "/home/elsewhere", false);
    let two = vec![(place("home", HOME), true), (place("more", "/home/more"), true)];
    let (adoption, _) = judged(&listing, &[None], Lost::Lost, &two, &Policy::default()).expect("found");
    assert_eq!(adoption.messages[0].places.len(), 2);
    assert!(adoption.messages[0].places.iter().all(|(_, whereabouts)| matches!(whereabouts, Whereabouts::Unclear(_))));
    let (adoption, _) = judged(&listing, &[None], Lost::Lost, &places(true, false), &Policy::default()).expect("found");
    assert!(!adoption.messages[0].is_unclear());
}

#[test]
fn what_an_older_record_calls_open_is_delivered_if_its_file_is_there() {
    let listing = listing(1, 1, HOME, false);
    let open = |state| vec![Some(Standing::Open([Delivery { place: place("home", "/home"), state }].into()))];
    for (progress, places_told) in [
        (DeliveryState::Deferred(9), 1),
        (DeliveryState::Staged, 1),
        (DeliveryState::Quarantined, 1),
        (DeliveryState::Delivered, 0),
    ] {
        let standings = open(progress.clone());
        let (adoption, _) =
            judged(&listing, &standings, Lost::Lost, &places(true, false), &Policy::default()).expect("found");
        let told: usize = adoption.messages.iter().map(|message| message.places.len()).sum();
        assert_eq!(told, places_told, "{progress:?}");
    }
}

#[test]
fn a_header_is_no_reason_to_delete_its_message() {
    let listing = listing(1, 1, HOME, true);
    let headers = Policy { max_size: Some(9), oversize: Oversize::Headers, ..Policy::default() };
    let delete = Retention::Delete;
    for (policy, header_only, unclear) in [
        (Policy::default(), false, false),
        (Policy { retention: delete, ..Policy::default() }, false, true),
        (Policy { retention: delete, ..headers.clone() }, true, false),
        (headers, true, false),
    ] {
        let (adoption, _) = judged(&listing, &[None], Lost::Lost, &places(true, false), &policy).expect("found");
        let message = &adoption.messages[0];
        assert_eq!((message.header_only, message.is_unclear()), (header_only, unclear), "{policy:?}");
        assert_eq!(message.content, None, "the content of the message is not known");
    }
}
