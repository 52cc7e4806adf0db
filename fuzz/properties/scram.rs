//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as simply as it can be computed, to know which server
//! signature is the right one; and the same HMAC for CRAM-MD5 (RFC 2195).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest, Sha256};

/// HMAC (RFC 2104) with a hash that works in blocks of 64 octets.
fn hmac<D: Digest>(key: &[u8], message: &[&[u8]]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    match key.len() {
        0..=64 => block[..key.len()].copy_from_slice(key),
        _ => {
            let digest = D::digest(key);
            block[..digest.len()].copy_from_slice(&digest);
        }
    }
    let mut inner = D::new_with_prefix(block.map(|octet| octet ^ 0x36));
    message.iter().for_each(|part| inner.update(part));
    D::new_with_prefix(block.map(|octet| octet ^ 0x5c)).chain_update(inner.finalize()).finalize().to_vec()
}

/// The answer to a challenge of CRAM-MD5.
pub(super) fn cram_md5(username: &str, password: &[u8], challenge: &[u8]) -> String {
    format!("{username} {}", super::hex(&hmac::<Md5>(password, &[challenge])))
}

/// The last message of a server that knows the password, for a client's first message without its
/// header, the server's first, and the client's last.
pub(super) fn last_message(password: &[u8], bare: &str, first: &str, client_last: &str) -> Option<String> {
    let mut fields = first.split(',');
    let _nonce = fields.next()?;
    let salt = STANDARD.decode(fields.next()?.strip_prefix("s=")?).ok()?;
    let iterations: u32 = fields.next()?.strip_prefix("i=")?.parse().ok()?;
    let mut turn = hmac::<Sha256>(password, &[&salt, &[0, 0, 0, 1]]);
    let mut salted = turn.clone();
    for _ in 1..iterations {
        turn = hmac::<Sha256>(password, &[&turn]);
        salted.iter_mut().zip(&turn).for_each(|(sum, octet)| *sum ^= octet);
    }
    let (without_proof, _) = client_last.rsplit_once(",p=")?;
    let said = format!("{bare},{first},{without_proof}");
    let signature = hmac::<Sha256>(&hmac::<Sha256>(&salted, &[b"Server Key"]), &[said.as_bytes()]);
    Some(format!("v={}", STANDARD.encode(signature)))
}
