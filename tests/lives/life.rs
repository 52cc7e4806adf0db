//! One life: what happens between polls, the polls, and its end.

use super::home::Home;
use super::mailbox::{MOST, Mailbox, Whereabouts};
use super::nature::{Nature, Sizes};
use super::oracle::{Delivered, Oracle};
use super::poll::{self, Fault};
use super::support::{MailboxServer, Postrider, let_pass};
use super::wishes::Wishes;
use fastrand::Rng;
use std::collections::HashMap;

const DAY: i64 = 86_400;

/// Polls at the end, until two of them have nothing to do: as many as a small `max-messages` needs, and more.
const QUIET_POLLS: usize = MOST + 10;

/// What became of a life.
pub(crate) struct Past {
    pub(crate) kind: String,
    pub(crate) polls: usize,
    /// What went wrong; nothing, mostly.
    pub(crate) wrong: Vec<String>,
    pub(crate) story: Vec<String>,
}

/// A life that goes on.
struct Life {
    random: Rng,
    nature: Nature,
    mailbox: Mailbox,
    server: MailboxServer,
    program: Postrider,
    home: Home,
    wishes: Wishes,
    oracle: Oracle,
    today: i64,
    /// Contents by how they looked to a poll that asks for no message.
    looks: HashMap<(Vec<String>, u64), Vec<usize>>,
    polls: usize,
    last_code: Option<i32>,
    /// A poll was killed, and none has ended well since.
    unsettled: bool,
    story: Vec<String>,
}

/// The nature of a seed's life.
pub(crate) fn nature(seed: u64) -> Nature {
    Nature::of(&mut Rng::with_seed(seed))
}

/// Lives the life of a seed.
pub(crate) fn live(seed: u64) -> Past {
    let mut life = Life::begin(seed);
    let wrong = life.go_on();
    Past { kind: life.nature.kind(), polls: life.polls, wrong, story: life.story }
}

impl Life {
    fn begin(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let nature = Nature::of(&mut random);
        let wishes = Wishes::any(&nature, &mut random);
        let server = MailboxServer::start_with(Vec::new(), nature.behaviour());
        let program = Postrider::with_config(&wishes.config(server.port()));
        let home = Home::at(program.path("home"));
        let story = vec![format!("the server: {nature}"), format!("the wishes: {}", on_one_line(&wishes))];
        Self {
            random,
            mailbox: Mailbox::new(nature.clone()),
            nature,
            server,
            program,
            home,
            wishes,
            oracle: Oracle::default(),
            today: 0,
            looks: HashMap::new(),
            polls: 0,
            last_code: None,
            unsettled: false,
            story,
        }
    }

    /// Everything that happens; what is wrong ends it.
    fn go_on(&mut self) -> Vec<String> {
        for _ in 0..self.random.usize(3..9) {
            self.pass_time();
            let fault = Fault::any(self.mailbox.here().len(), &mut self.random);
            let wrong = self.poll(&fault);
            if !wrong.is_empty() {
                return wrong;
            }
        }
        self.end()
    }

    fn tell(&mut self, event: String) {
        self.story.push(event);
    }

    fn chance(&mut self, one_in: u8) -> bool {
        self.random.u8(..one_in) == 0
    }

    /// What happens between two polls.
    fn pass_time(&mut self) {
        if self.polls > 0 {
            self.others_act();
        }
        for _ in 0..self.random.usize(..4) {
            let letter = self.mailbox.writer.letter(&self.nature, &mut self.random);
            self.arrive(letter);
        }
        if self.nature.migrates && self.chance(4) {
            self.mailbox.migrate();
            self.tell("all unique-ids change".to_owned());
        }
        if self.nature.shuffles {
            self.mailbox.shuffle(&mut self.random);
        }
        self.be_distinguishable();
        if self.polls > 0 && self.chance(3) {
            self.wishes = Wishes::any(&self.nature, &mut self.random);
            self.configure();
        }
        if self.polls > 0 && self.chance(3) {
            let days = self.random.i64(1..4);
            self.let_pass(days);
        }
        if self.chance(3) {
            // What was not yet on record, for days, and is nowhere any more, comes again.
            let (filed, thrown) = self.home.read(!self.unsettled, &mut self.random);
            if filed + thrown > 0 {
                self.tell(format!("the reader files {filed} and throws away {thrown}"));
            }
        }
    }

    /// Another client deletes, moves out of the mailbox and back, and restores what was deleted.
    fn others_act(&mut self) {
        if self.chance(3) {
            for _ in 0..self.random.usize(1..3) {
                self.take(Whereabouts::Deleted, "another client deletes");
            }
        }
        if self.nature.moves && self.chance(2) {
            for _ in 0..self.random.usize(1..3) {
                self.take(Whereabouts::Elsewhere, "moved away:");
            }
        }
        if self.nature.moves && self.chance(2) {
            for tag in self.mailbox.those(Whereabouts::Elsewhere) {
                self.bring(tag, "moved back:");
            }
        }
        if self.nature.moves && self.chance(6) {
            let deleted = self.mailbox.those(Whereabouts::Deleted);
            if let Some(&tag) = self.random.choice(&deleted) {
                self.bring(tag, "restored:");
            }
        }
    }

    fn take(&mut self, to: Whereabouts, how: &str) {
        let here = self.mailbox.here().to_vec();
        if let Some(&tag) = self.random.choice(&here) {
            self.mailbox.leave(tag, to);
            self.tell(format!("{how} message {tag}"));
        }
    }

    fn bring(&mut self, tag: usize, how: &str) {
        if self.mailbox.here().len() < MOST {
            self.mailbox.enter(tag);
            self.tell(format!("{how} message {tag}"));
        }
    }

    fn arrive(&mut self, letter: usize) {
        if self.mailbox.here().len() < MOST {
            let tag = self.mailbox.arrive(letter);
            let octets = self.mailbox.writer.letters[letter].octets();
            self.tell(format!("message {tag} arrives: letter {letter}, {octets} octets"));
        }
    }

    /// If the unique-ids and STAT's octets are those of other messages before, nobody could know.
    fn be_distinguishable(&mut self) {
        loop {
            let contents = self.mailbox.contents();
            if *self.looks.entry(self.mailbox.look()).or_insert_with(|| contents.clone()) == contents {
                return;
            }
            let letter = self.mailbox.writer.fresh(&self.nature, &mut self.random);
            self.arrive(letter);
        }
    }

    fn configure(&mut self) {
        self.program.config(&self.wishes.config(self.server.port()));
        self.tell(format!("other wishes: {}", on_one_line(&self.wishes)));
    }

    fn let_pass(&mut self, days: i64) {
        let log = self.program.state_dir().join("state.db-wal");
        let is_there = log.exists();
        let_pass(&self.program, days * DAY);
        // A look at the database by another connection takes its log away; a kill does not.
        if is_there {
            std::fs::write(log, "").expect("the log");
        }
        self.today += days;
        self.tell(format!("{days} days pass"));
    }

    /// One poll, and what is wrong after it.
    fn poll(&mut self, fault: &Fault) -> Vec<String> {
        self.polls += 1;
        self.server.replace(self.mailbox.listing(&mut self.random));
        let fetched = poll::fetch(&self.program, &self.server, self.nature.behaviour(), fault);
        self.last_code = fetched.code;
        self.unsettled = fetched.code.is_none() || self.unsettled && fetched.code != Some(0);
        let deleted = self.mailbox.settle(&self.server.remaining_tags());
        let listed: Vec<String> = self.mailbox.here().iter().map(usize::to_string).collect();
        let code = fetched.code.map_or("killed".to_owned(), |code| code.to_string());
        self.tell(format!("POLL{fault}: {code}; deleted {deleted:?}; left {}", listed.join(" ")));
        fetched.text.lines().for_each(|line| self.story.push(format!("    {line}")));
        let mut wrong = self.oracle.judge(&self.mailbox, &self.home.delivered(), &deleted, &self.wishes, self.today);
        if fetched.text.contains("panicked") {
            wrong.push("a panic".to_owned());
        }
        // A size that is listed too small is found out and told, and so may be another message under a unique-id.
        let is_told =
            self.wishes.max_size.is_some() && self.nature.sizes != Sizes::Honest || !self.nature.are_ids_true();
        if matches!(fault, Fault::None) && fetched.code != Some(0) && !(is_told && fetched.code == Some(75)) {
            wrong.push(format!("a poll without any fault ended with {code}"));
        }
        wrong
    }

    /// Polls in peace, until there is nothing to do, today and tomorrow: then nothing is left out.
    fn end(&mut self) -> Vec<String> {
        if self.chance(2) {
            (self.wishes.max_messages, self.wishes.max_size) = (None, None);
            self.configure();
        }
        let mut quiet = 0;
        for _ in 0..QUIET_POLLS {
            let before = self.outcome();
            let wrong = self.poll(&Fault::None);
            if !wrong.is_empty() {
                return wrong;
            }
            quiet = if before == self.outcome() { quiet + 1 } else { 0 };
            match quiet {
                0 => {}
                1 => self.let_pass(1),
                _ => return self.left_out(&before.0),
            }
        }
        vec!["it never came to rest".to_owned()]
    }

    /// What a poll that has nothing to do leaves as it is: mail, and how much was retrieved.
    fn outcome(&self) -> (Delivered, Vec<usize>, usize) {
        // Sizes that are others each time raise a doubt each time, and a refusal is tried again.
        let is_counted = self.last_code == Some(0) && self.nature.sizes != Sizes::Random;
        let retrieved = if is_counted { self.server.count("RETR") } else { 0 };
        (self.home.delivered(), self.mailbox.here().to_vec(), retrieved)
    }

    fn left_out(&self, delivered: &Delivered) -> Vec<String> {
        Oracle::left_out(&self.mailbox, delivered, &self.wishes, &self.nature)
    }
}

fn on_one_line(wishes: &Wishes) -> String {
    wishes.to_string().replace('\n', ", ")
}
