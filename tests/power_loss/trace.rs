//! What strace(1) writes of a program and its threads: calls, and the moments at which each began
//! and had ended.
//!
//! A call has its effect somewhere between these moments; strace writes the first before the
//! kernel begins and the second after it has ended, so the order of lines is one that happened.
//! Strings must be written in hexadecimal (`-xx`): then no text can be taken for punctuation.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A system call that has ended without an error.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name, as `renameat2`.
    pub name: String,
    /// Its arguments as strace writes them.
    pub arguments: Vec<String>,
    /// What it returned: a number, for a descriptor with the file's path.
    pub result: String,
}

/// The beginning or the end of a call, by its place among the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The kernel is about to begin.
    Begin(usize),
    /// The kernel has ended.
    End(usize),
}

/// All calls that had an effect, and their moments in order.
pub fn parse(text: &str) -> (Vec<Call>, Vec<Moment>) {
    let mut texts: Vec<String> = Vec::new();
    let mut moments = Vec::new();
    let mut unfinished: HashMap<&str, usize> = HashMap::new();
    for line in text.lines() {
        let (thread, line) = line.split_once(' ').unwrap_or_else(|| panic!("no thread in {line:?}"));
        let line = line.trim_start();
        if line.starts_with("+++") || line.starts_with("---") {
            continue;
        }
        if let Some(rest) = line.strip_prefix("<... ") {
            let (_, rest) = rest.split_once(" resumed>").unwrap_or_else(|| panic!("resumed how? {line:?}"));
            let index = unfinished.remove(thread).unwrap_or_else(|| panic!("resumed what? {line:?}"));
            texts[index].push_str(rest);
            moments.push(Moment::End(index));
            continue;
        }
        let index = texts.len();
        moments.push(Moment::Begin(index));
        match line.strip_suffix("<unfinished ...>") {
            Some(begun) => {
                texts.push(begun.to_owned());
                unfinished.insert(thread, index);
            }
            None => {
                texts.push(line.to_owned());
                moments.push(Moment::End(index));
            }
        }
    }
    keep_successful(&texts, &moments)
}

/// Leaves out calls that failed, or that the program's end has cut off.
fn keep_successful(texts: &[String], moments: &[Moment]) -> (Vec<Call>, Vec<Moment>) {
    let mut calls = Vec::new();
    let mut kept: HashMap<usize, usize> = HashMap::new();
    for (index, text) in texts.iter().enumerate() {
        if let Some(call) = call(text) {
            kept.insert(index, calls.len());
            calls.push(call);
        }
    }
    let moments = moments.iter().filter_map(|moment| match moment {
        Moment::Begin(index) => kept.get(index).copied().map(Moment::Begin),
        Moment::End(index) => kept.get(index).copied().map(Moment::End),
    });
    (calls, moments.collect())
}

fn call(text: &str) -> Option<Call> {
    let (call, result) = text.rsplit_once(" = ")?;
    let (name, arguments) = call.split_once('(')?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    if result.starts_with(['-', '?']) {
        return None;
    }
    Some(Call { name: name.to_owned(), arguments: split(arguments), result: result.to_owned() })
}

/// Splits at the commas that are in no bracket.
fn split(arguments: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0_usize);
    for character in arguments.chars() {
        match character {
            '[' | '{' | '(' => depth += 1,
            ']' | '}' | ')' => depth -= 1,
            _ => {}
        }
        match character {
            ',' if depth == 0 => parts.push(String::new()),
            other => parts.last_mut().expect("one at least").push(other),
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

/// The octets of a string in hexadecimal, as `"\x61\x62"`.
pub fn octets(text: &str) -> Vec<u8> {
    let digits = text.trim_matches('"').split("\\x").skip(1);
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("not in hexadecimal: {text}"))).collect()
}

/// The path of a descriptor, as `3<\x2f\x61>`; `None` where it has no name, or no longer has one.
pub fn path(descriptor: &str) -> Option<PathBuf> {
    let (_, path) = descriptor.split_once('<')?;
    let path = path.strip_suffix('>')?;
    Some(OsString::from_vec(octets(path)).into())
}

#[test]
fn a_call_that_another_thread_interrupts_is_one_call() {
    let text = "7 fsync(9<\\x2f\\x61> <unfinished ...>\n\
                8 unlink(\"\\x2f\\x62\") = -1 ENOENT (No such file or directory)\n\
                8 sendto(5<\\x73>, \"\\x51\", 1, MSG_NOSIGNAL, NULL, 0) = 1\n\
                7 <... fsync resumed>)              = 0\n\
                7 +++ exited with 0 +++\n";
    let (calls, moments) = parse(text);
    let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["fsync", "sendto"]);
    assert_eq!(moments, [Moment::Begin(0), Moment::Begin(1), Moment::End(1), Moment::End(0)]);
    assert_eq!(path(&calls[0].arguments[0]), Some("/a".into()));
    assert_eq!(octets(&calls[1].arguments[1]), b"Q");
}
