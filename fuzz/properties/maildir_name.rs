//! File names in a Maildir: what ours say, whatever others have added, and that no other name says
//! anything.

use postrider::testing::deliver::maildir::{NameParts, file_name, token};
use postrider::testing::message::{MessageKey, Name, Origin};

pub(super) fn holds(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Some(telling) = NameParts::of(&text) {
        told(&text, telling);
    }
    // The same octets as what a name is made of: instance, account, unique-id.
    let mut parts = input.splitn(3, |&octet| octet == b'\n');
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (instance, account) = (text(), text());
    let instance: String = instance.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    let uid = parts.next().unwrap_or_default();
    if let (false, Some(account), Some(key)) = (instance.is_empty(), Name::new(&account), MessageKey::new(uid, 0)) {
        made(&instance, &Origin::of(&account), &key);
    }
}

fn told(name: &str, telling: NameParts<'_>) {
    assert!(telling.token.len() == 32 && telling.token.bytes().all(|octet| octet.is_ascii_hexdigit()));
    assert!(!telling.instance.is_empty() && !telling.instance.contains('.'));
    assert!(name.contains(&format!("I{}T{}", telling.instance, telling.token)));
    // What others append comes after the host's name.
    if name.matches('.').count() >= 2 {
        for added in [",S=512,W=530:2,FS", ":2,"] {
            assert_eq!(NameParts::of(&format!("{name}{added}")), Some(telling));
        }
    }
}

fn made(instance: &str, origin: &Origin, key: &MessageKey) {
    let name = file_name("P1Q2", instance, origin, key);
    let telling = NameParts::of(&name).expect("one of ours");
    assert_eq!((telling.instance, telling.token), (instance, token(origin, key).as_str()));
    assert!(name.len() < 200 && !name.contains(['/', ':']) && !name.starts_with('.'), "{name}");
    assert_ne!(file_name("P1Q3", instance, origin, key), name, "another word makes another name");
    told(&name, telling);
    let other = MessageKey::new(key.uid(), 1).expect("a key");
    assert_ne!(token(origin, &other), telling.token);
}
