//! How a Ledge process ends: one number for scripts, one short text for people.

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// Exit code of every Ledge binary: 0, 1 and 2 answer the question that was asked, 64 to 78 are those of sysexits.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done; or the answer is "yes", "same", "holds".
    Done = 0,
    /// The question was answered, and the answer is "no" or "different".
    Different = 1,
    /// The question could not be answered.
    Unknown = 2,
    /// EX_USAGE: the command line is wrong.
    Usage = 64,
    /// EX_DATAERR: the input is malformed.
    DataErr = 65,
    /// EX_NOINPUT: an input does not exist or cannot be read.
    NoInput = 66,
    /// EX_NOUSER: an unknown user.
    NoUser = 67,
    /// EX_NOHOST: an unknown host.
    NoHost = 68,
    /// EX_UNAVAILABLE: something that is needed is not there (a port in use, a peer that refuses).
    Unavailable = 69,
    /// EX_SOFTWARE: a bug; a broken invariant.
    Software = 70,
    /// EX_OSERR: the operating system refused.
    OsErr = 71,
    /// EX_OSFILE: a system file is missing or wrong.
    OsFile = 72,
    /// EX_CANTCREAT: an output cannot be created.
    CantCreate = 73,
    /// EX_IOERR: reading or writing failed (a full disk).
    IoErr = 74,
    /// EX_TEMPFAIL: try again later (the data directory is in use).
    TempFail = 75,
    /// EX_PROTOCOL: the other side did not keep to the protocol.
    Protocol = 76,
    /// EX_NOPERM: not allowed.
    NoPerm = 77,
    /// EX_CONFIG: the configuration is wrong.
    Config = 78,
}

impl Exit {
    /// The number that the parent process sees.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Different => "the answer is no",
            Self::Unknown => "could not tell",
            Self::Usage => "usage error",
            Self::DataErr => "malformed data",
            Self::NoInput => "input missing",
            Self::NoUser => "user unknown",
            Self::NoHost => "host unknown",
            Self::Unavailable => "unavailable",
            Self::Software => "internal error",
            Self::OsErr => "operating system error",
            Self::OsFile => "system file missing",
            Self::CantCreate => "cannot create output",
            Self::IoErr => "input/output error",
            Self::TempFail => "try again later",
            Self::Protocol => "protocol error",
            Self::NoPerm => "permission denied",
            Self::Config => "configuration error",
        })
    }
}

/// Prints `error: …` and its causes to stderr and hands back the exit code for `main` to return.
#[must_use = "return it from main"]
pub fn fail(exit: Exit, error: &dyn Error) -> ExitCode {
    report(exit, error, None)
}

/// As [`fail`], followed by `hint: …`: what the user can type next, where the error's own text does not say it.
#[must_use = "return it from main"]
pub fn fail_with_hint(exit: Exit, error: &dyn Error, hint: &str) -> ExitCode {
    report(exit, error, Some(hint))
}

fn report(exit: Exit, error: &dyn Error, hint: Option<&str>) -> ExitCode {
    // A closed stderr must not turn an error into a panic with another exit code.
    let _ = std::io::stderr().write_all(render(error, hint).as_bytes());
    exit.into()
}

fn render(error: &dyn Error, hint: Option<&str>) -> String {
    let mut text = format!("error: {}\n", causes(error).join("\n  caused by: "));
    if let Some(hint) = hint {
        text.push_str(&format!("hint: {hint}\n"));
    }
    text
}

/// An error's text and those of its causes, outermost first. Many errors already quote their source; such a cause
/// is not said twice.
pub(crate) fn causes(error: &dyn Error) -> Vec<String> {
    let mut said = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let line = error.to_string();
        if !said.iter().any(|before| before.contains(&line)) {
            said.push(line);
        }
        cause = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    fn chain(texts: &[&'static str]) -> Option<Box<Link>> {
        let (text, rest) = texts.split_first()?;
        Some(Box::new(Link { text, source: chain(rest) }))
    }

    #[track_caller]
    fn check(texts: &[&'static str], hint: Option<&str>, expected: &str) {
        let error = chain(texts).expect("at least one text");
        assert_eq!(render(&error, hint), expected);
    }

    #[test]
    fn causes_are_listed_outermost_first_and_the_hint_comes_last() {
        check(
            &["cannot start", "cannot bind 127.0.0.1:1883", "address in use"],
            Some("pass --mqtt-listen 127.0.0.1:0"),
            "error: cannot start\n  caused by: cannot bind 127.0.0.1:1883\n  caused by: address in use\n\
             hint: pass --mqtt-listen 127.0.0.1:0\n",
        );
    }

    #[test]
    fn a_cause_that_its_error_already_quotes_is_not_repeated() {
        check(
            &["cannot bind: address in use", "address in use"],
            None,
            "error: cannot bind: address in use\n",
        );
    }

    #[test]
    fn codes_are_those_of_sysexits() {
        let codes = [(Exit::Done, 0), (Exit::Different, 1), (Exit::Unknown, 2), (Exit::Usage, 64)];
        for (exit, code) in codes.into_iter().chain([(Exit::TempFail, 75), (Exit::Config, 78)]) {
            assert_eq!(exit.code(), code, "{exit}");
        }
    }
}
