//! `ledge-replay verify`

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use ledge_core::log::Reader;
use ledge_log_rocksdb::OpenError as LogError;
use ledge_process::{Exit, Output, Table};
use serde::Serialize;

use super::{CommandError, Common};
use crate::source::{Source, SourceError};
use crate::verify::{Comparison, Problem, Report, Verdict, compare, verify};

/// Checks every stream: checksums, continuity, chain, base, and that the view is what the log makes of it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ledge-replay verify --data-dir /var/lib/ledge-edge\n  \
    ledge-replay verify --data-dir /var/lib/ledge-edge --against /var/lib/ledge-cloud")]
pub struct VerifyArgs {
    #[command(flatten)]
    common: Common,
    /// Another data directory that holds the same logs: where both have events, they must be the same ones. Its own
    /// checksums are not checked; verify it by itself for that.
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Answer {
    verdict: Verdict,
    #[serde(flatten)]
    report: Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Comparison>,
}

pub(super) fn run(args: &VerifyArgs, out: &mut impl Write) -> Result<Exit, CommandError> {
    let source = match Source::open(&args.common.data_dir) {
        // That it is damaged is the answer, not a reason to give none.
        Err(SourceError::Log(LogError::Corrupt { dir, why })) => {
            let problem = Problem::of_damage(format!("{} does not open: {why}", dir.display()));
            return answer(
                Report { streams: Vec::new(), problems: vec![problem] },
                None,
                args.common.output,
                out,
            );
        }
        other => other?,
    };
    let against = args.against.as_deref().map(Source::open).transpose()?;
    show(source.reader(), against.as_ref().map(Source::reader), args.common.output, out)
}

/// Verifies a store, compares it with another if there is one, prints what was found and says how to end.
pub fn show<A: Reader, B: Reader>(
    reader: &A,
    against: Option<&B>,
    output: Output,
    out: &mut impl Write,
) -> Result<Exit, CommandError> {
    answer(verify(reader), against.map(|against| compare(reader, against)), output, out)
}

fn answer(
    report: Report,
    against: Option<Comparison>,
    output: Output,
    out: &mut impl Write,
) -> Result<Exit, CommandError> {
    let verdict = against.iter().map(Comparison::verdict).fold(report.verdict(), Verdict::max);
    let answer = Answer { verdict, report, against };
    match output {
        Output::Table => write!(out, "{}", text(&answer))?,
        _ => output.write(out, &answer, |_| Table::default())?,
    }
    out.flush()?;
    Ok(verdict.exit())
}

fn text(answer: &Answer) -> String {
    let word = |verdict: Verdict| match verdict {
        Verdict::Good => "good",
        Verdict::Unknown => "could not tell",
        Verdict::Wrong => "wrong",
    };
    let mut table = Table::new(["STREAM", "LOG", "BASE", "TAIL", "EVENTS", "ROWS", "VERDICT"]);
    for log in &answer.report.streams {
        let archived = if log.archived { " (archived)" } else { "" };
        table.row([
            log.stream.clone(),
            log.log_id.to_string(),
            log.base.clone(),
            log.tail.clone(),
            log.events.to_string(),
            log.rows.to_string(),
            format!("{}{archived}", word(log.verdict)),
        ]);
    }
    let mut sections = vec![table.to_string()];
    let mut problems: Vec<&Problem> = answer.report.problems.iter().collect();
    if let Some(against) = &answer.against {
        let mut table = Table::new(["STREAM", "LOG", "AGAINST"]);
        for log in &against.logs {
            table.row([log.stream.clone(), log.log_id.to_string(), log.relation.to_string()]);
        }
        sections.push(table.to_string());
        problems.extend(&against.problems);
    }
    if !problems.is_empty() {
        let mut table = Table::new(["WHERE", "POSITION", "WHAT"]);
        for problem in problems {
            let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            table.row([or_dash(&problem.stream), or_dash(&problem.position), problem.why.clone()]);
        }
        sections.push(table.to_string());
    }
    sections.push(format!("{}\n", word(answer.verdict)));
    sections.join("\n")
}
