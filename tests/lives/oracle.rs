//! What may have come of a poll, by the messages themselves.

use super::mailbox::{Mailbox, Whereabouts};
use super::nature::{Nature, Sizes};
use super::wishes::{Retention, Wishes};
use std::collections::BTreeMap;

/// Everything that ever came to the Maildir, each as often as it came.
pub(crate) type Delivered = BTreeMap<Vec<u8>, usize>;

/// Remembers on which day a letter was first seen in the Maildir.
#[derive(Default)]
pub(crate) struct Oracle {
    days: BTreeMap<usize, i64>,
}

impl Oracle {
    /// What is wrong after a poll of `today` that has deleted these messages.
    pub(crate) fn judge(
        &mut self,
        mailbox: &Mailbox,
        delivered: &Delivered,
        deleted: &[usize],
        wishes: &Wishes,
        today: i64,
    ) -> Vec<String> {
        let letters = &mailbox.writer.letters;
        let times = |letter: usize| delivered.get(&letters[letter].text).copied().unwrap_or(0);
        for letter in 0..letters.len() {
            if times(letter) > 0 {
                self.days.entry(letter).or_insert(today);
            }
        }
        let mut wrong = Vec::new();
        for &tag in deleted {
            let letter = mailbox.arrived[tag].letter;
            let age = self.days.get(&letter).map(|day| today - day);
            match (wishes.retention, age) {
                (_, None) => wrong.push(format!("message {tag} (letter {letter}) was deleted and never delivered")),
                (Retention::Keep, _) => wrong.push(format!("message {tag} was deleted, and all is to be kept")),
                (Retention::Days(days), Some(age)) if age < days => {
                    wrong.push(format!("message {tag} was deleted {age} days after its delivery, and not {days}"));
                }
                _ => {}
            }
        }
        for letter in 0..letters.len() {
            let arrived = mailbox.arrived.iter().filter(|arrived| arrived.letter == letter).count();
            if times(letter) > arrived {
                wrong.push(format!("letter {letter} has arrived {arrived} times and come {} times", times(letter)));
            }
        }
        for text in delivered.keys() {
            let is_known = letters.iter().any(|letter| letter.text == *text || letter.is_head_of(text));
            if !is_known {
                wrong.push(format!("nobody wrote this: {:?}", String::from_utf8_lossy(text)));
            }
        }
        wrong
    }

    /// What is on the server, within the limits, and has not come, after polls that had nothing to do.
    pub(crate) fn left_out(mailbox: &Mailbox, delivered: &Delivered, wishes: &Wishes, nature: &Nature) -> Vec<String> {
        let mut left_out = Vec::new();
        for tag in mailbox.those(Whereabouts::Here) {
            let letter = &mailbox.writer.letters[mailbox.arrived[tag].letter];
            // A size that is listed wrong is believed as far as it is too large.
            let fits = wishes.max_size.is_none_or(|most| letter.octets() <= most && nature.sizes == Sizes::Honest);
            if fits && !delivered.contains_key(&letter.text) {
                left_out.push(format!("message {tag} (letter {}) is left out", mailbox.arrived[tag].letter));
            }
        }
        left_out
    }
}
