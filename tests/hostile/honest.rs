//! What an honest server answers; a hostile one as well, where its case has no rule.

use super::case::Transport;
use super::server::{Conversation, Said};

impl Conversation<'_> {
    /// What an honest server answers.
    pub(super) fn honest(&mut self, heard: &str) -> Said {
        let (verb, argument) = heard.split_once(' ').unwrap_or((heard, ""));
        let number = argument.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let is_there = self.there.contains(&number) && !self.marked.contains(&number);
        let left: Vec<usize> = self.there.difference(&self.marked).copied().collect();
        let octets = |message: &usize| self.setting.case.messages[message - 1].len();
        match (verb, argument) {
            ("greeting", _) => self.line("+OK ready"),
            ("CAPA", "") => {
                let in_clear = self.setting.transport == Transport::Stls && !self.channel.is_tls();
                let mut lines: Vec<String> = ["USER", "UIDL", "TOP"].map(str::to_owned).to_vec();
                lines.extend(in_clear.then(|| "STLS".to_owned()));
                lines.extend(self.setting.case.capabilities.iter().cloned());
                self.list(lines)
            }
            ("STLS", "") => {
                self.line("+OK begin")?;
                self.secure()
            }
            ("USER" | "PASS" | "NOOP", _) => self.line("+OK"),
            ("AUTH", _) => {
                if heard.split(' ').count() < 3 {
                    self.line("+ ")?;
                    self.hear()?;
                }
                self.line("+OK")
            }
            ("STAT", "") => self.line(&format!("+OK {} {}", left.len(), left.iter().map(octets).sum::<usize>())),
            ("LIST", "") => {
                let lines: Vec<String> = left.iter().map(|message| format!("{message} {}", octets(message))).collect();
                self.list(lines)
            }
            ("UIDL", "") => self.list(left.iter().map(|message| format!("{message} u{message}"))),
            ("LIST" | "UIDL" | "TOP" | "RETR" | "DELE", _) if !is_there => self.line("-ERR no such message"),
            ("LIST", _) => self.line(&format!("+OK {number} {}", octets(&number))),
            ("UIDL", _) => self.line(&format!("+OK {number} u{number}")),
            ("RETR", _) => {
                self.line("+OK")?;
                self.body(number)
            }
            ("TOP", _) => {
                let text = String::from_utf8_lossy(&self.setting.case.messages[number - 1]).into_owned();
                let head = text.split("\r\n\r\n").next().unwrap_or_default().to_owned();
                self.list([head, String::new()])
            }
            ("DELE", _) => {
                let early = !self.setting.is_delivered(number);
                let mut record = self.setting.record();
                record.marked.insert(number);
                if early {
                    record.too_early.insert(number);
                }
                drop(record);
                self.marked.insert(number);
                self.line("+OK")
            }
            ("QUIT", "") => {
                self.update();
                self.line("+OK bye")
            }
            _ => self.line("-ERR unknown"),
        }
    }

    fn line(&mut self, line: &str) -> Said {
        Ok(self.channel.send(format!("{line}\r\n").as_bytes())?)
    }

    /// Lines with a status before and a dot after them.
    fn list(&mut self, lines: impl IntoIterator<Item = String>) -> Said {
        let mut text = "+OK\r\n".to_owned();
        lines.into_iter().for_each(|line| text += &format!("{line}\r\n"));
        self.line(&(text + "."))
    }

    /// Sends a message and the final dot.
    pub(super) fn body(&mut self, message: usize) -> Said {
        let octets = &self.setting.case.messages[message - 1];
        let stuffs = !self.setting.case.unstuffed || self.setting.record().honest;
        let mut out = Vec::with_capacity(octets.len() + 16);
        for line in octets.split_inclusive(|&octet| octet == b'\n') {
            let begins = out.is_empty() || out.ends_with(b"\r\n");
            if line.starts_with(b".") && begins && stuffs {
                out.push(b'.');
            }
            out.extend_from_slice(line);
        }
        out.extend_from_slice(if out.is_empty() || out.ends_with(b"\r\n") { b".\r\n" } else { b"\r\n.\r\n" });
        Ok(self.channel.send(&out)?)
    }
}
