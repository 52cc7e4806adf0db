//! Which deliveries on record count for a target as it is now.
//!
//! What was delivered to a place is there, whatever the place is called now.  A destination that has since been
//! pointed elsewhere keeps what was delivered to it before; what was only tried there is owed to its new place.  A
//! destination has been pointed elsewhere if nothing on record is at any of its present places: as long as it still
//! leads to one of them, what another recipient or folder has says nothing about this one.

use super::{Delivery, DeliveryState, Place, is_over};

/// The deliveries that count for a target of an account; `targets` are all of them.
pub fn at_place<'a>(deliveries: &'a [Delivery], place: &Place, targets: &[Place]) -> Vec<&'a Delivery> {
    let exactly: Vec<&Delivery> = deliveries.iter().filter(|delivery| delivery.place == *place).collect();
    if !exactly.is_empty() {
        return exactly;
    }
    let is_anothers = |delivery: &&Delivery| targets.contains(&delivery.place);
    let here = deliveries.iter().filter(|delivery| delivery.place.leads_to(place));
    let here: Vec<&Delivery> = here.filter(|delivery| !is_anothers(delivery)).collect();
    if !here.is_empty() {
        return here;
    }
    led_elsewhere(deliveries, place, targets)
}

/// What was delivered to a destination at its former place, if it no longer leads there.
fn led_elsewhere<'a>(deliveries: &'a [Delivery], place: &Place, targets: &[Place]) -> Vec<&'a Delivery> {
    let of_it: Vec<&Delivery> =
        deliveries.iter().filter(|delivery| delivery.place.destination == place.destination).collect();
    if of_it.iter().any(|delivery| targets.contains(&delivery.place)) {
        return Vec::new();
    }
    let is_taken = |delivery: &Delivery| targets.iter().any(|target| target.leads_to(&delivery.place));
    let is_whole = |delivery: &Delivery| {
        // Where it led to several recipients, all of them have it, or it may be in a Maildir that is missing now.
        let beside = of_it.iter().filter(|other| other.place.is_beside(&delivery.place));
        beside.into_iter().all(|other| is_over(&other.state) || other.state == DeliveryState::Staged)
    };
    of_it.iter().copied().filter(|delivery| !is_taken(delivery) && is_whole(delivery)).collect()
}

/// Whether a target needs nothing more of a message.
pub fn has_it(deliveries: &[Delivery], place: &Place, targets: &[Place]) -> bool {
    at_place(deliveries, place, targets).iter().any(|delivery| is_over(&delivery.state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Name;

    fn place(destination: &str, location: &str) -> Place {
        Place::maildir(Name::new(destination).expect("a name"), location, "machine")
    }

    fn recipient(destination: &str, recipient: &str) -> Place {
        Place::server(Name::new(destination).expect("a name"), "lmtp", "mx:24", recipient)
    }

    fn delivery(destination: &str, location: &str, state: DeliveryState) -> Delivery {
        Delivery { place: place(destination, location), state }
    }

    #[test]
    fn what_came_to_a_place_is_there_whatever_the_place_is_called_now() {
        let before =
            [delivery("home", "/a", DeliveryState::Delivered), delivery("archive", "/b", DeliveryState::Deferred(0))];
        for (now, want) in [
            ([place("home", "/a"), place("archive", "/b")], [true, false]),
            // Swapped, renamed, pointed elsewhere, each of them and both.
            ([place("home", "/b"), place("archive", "/a")], [false, true]),
            ([place("inbox", "/a"), place("archive", "/b")], [true, false]),
            ([place("home", "/c"), place("archive", "/b")], [true, false]),
            ([place("home", "/a"), place("archive", "/c")], [true, false]),
            ([place("home", "/c"), place("inbox", "/a")], [false, true]),
        ] {
            let has = [&now[0], &now[1]].map(|place| has_it(&before, place, &now));
            assert_eq!(has, want, "{now:?}");
        }
    }

    #[test]
    fn what_was_only_tried_elsewhere_is_owed_to_where_a_destination_leads_now() {
        let now = [place("home", "/new")];
        for (progress, counts) in [
            (DeliveryState::Sending, 0),
            (DeliveryState::Deferred(i64::MAX), 0),
            (DeliveryState::Quarantined, 0),
            (DeliveryState::Staged, 1),
            (DeliveryState::Skipped, 1),
        ] {
            let before = [delivery("home", "/old", progress.clone())];
            assert_eq!(at_place(&before, &now[0], &now).len(), counts, "{progress:?}");
        }
    }

    #[test]
    fn what_one_recipient_has_no_other_has() {
        let (has, waits) = (DeliveryState::Delivered, DeliveryState::Deferred(0));
        for (on_record, now, want) in [
            (&[("a", &has), ("b", &waits)][..], &["a", "b"][..], &[true, false][..]),
            (&[("a", &has)], &["a", "b"], &[true, false]),
            (&[("a", &has), ("b", &has)], &["a", "b"], &[true, true]),
            // One recipient is replaced, and the destination still has one of the old ones, ...
            (&[("a", &has), ("b", &waits)], &["b", "c"], &[false, false]),
            // ... and all are replaced: a recipient that has it does not count for another that has not.
            (&[("a", &has), ("b", &waits)], &["c"], &[false]),
            (&[("a", &has), ("b", &has)], &["c"], &[true]),
        ] {
            let before = on_record
                .iter()
                .map(|(who, progress)| Delivery { place: recipient("hub", who), state: (*progress).clone() });
            let before: Vec<Delivery> = before.collect();
            let now: Vec<Place> = now.iter().map(|who| recipient("hub", who)).collect();
            let found: Vec<bool> = now.iter().map(|place| has_it(&before, place, &now)).collect();
            assert_eq!(found, want, "{on_record:?} {now:?}");
        }
    }

    #[test]
    fn a_maildir_of_another_machine_is_another_place() {
        let (name, has) = (Name::new("home").expect("a name"), DeliveryState::Delivered);
        let place = |machine| Place::maildir(name.clone(), "/home/mail", machine);
        let before = [Delivery { place: place("server"), state: has }];
        let both = [place("laptop"), place("server")];
        assert_eq!(both.each_ref().map(|place| has_it(&before, place, &both)), [false, true]);
    }
}
