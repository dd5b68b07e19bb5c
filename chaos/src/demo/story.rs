//! What is told: steps, what was seen in them, what was measured, and what was checked.

use std::fmt::{Debug, Display};
use std::time::{Duration, Instant};

use ledge_process::{Output, Table};
use serde::Serialize;

/// A story under way.
#[derive(Debug)]
pub struct Story {
    output: Output,
    limit: Duration,
    began: Instant,
    step_began: Instant,
    told: Told,
}

/// What `-o json` prints.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    holds: bool,
    seconds: f64,
    steps: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broke: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    title: String,
    seconds: f64,
    facts: Vec<String>,
    measured: Vec<Measured>,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    what: String,
    milliseconds: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    what: String,
    holds: bool,
    expected: String,
    found: String,
}

impl Story {
    /// An empty one that may take `limit` in all. With JSON or YAML on stdout, the story itself goes to stderr.
    #[must_use]
    pub fn new(output: Output, limit: Duration) -> Self {
        let now = Instant::now();
        Self { output, limit, began: now, step_began: now, told: Told::default() }
    }

    /// Begins the next step.
    pub fn step(&mut self, title: &str) {
        self.close();
        self.step_began = Instant::now();
        let number = self.told.steps.len() + 1;
        self.line(&format!("\n{number}. {title}"));
        let (facts, measured, checks) = (Vec::new(), Vec::new(), Vec::new());
        self.told.steps.push(Step { title: title.to_owned(), seconds: 0.0, facts, measured, checks });
    }

    /// Something that was seen.
    pub fn fact(&mut self, fact: impl Into<String>) {
        let fact = fact.into();
        self.line(&format!("        {fact}"));
        self.now().facts.push(fact);
    }

    /// How long something took.
    pub fn measure(&mut self, what: impl Into<String>, took: Duration) {
        let what = what.into();
        self.line(&format!("        {what}: {}", shown(took)));
        self.now().measured.push(Measured { what, milliseconds: took.as_secs_f64() * 1000.0 });
    }

    /// Compares what should be with what is.
    pub fn check<E: Debug + PartialEq<F>, F: Debug>(
        &mut self,
        what: impl Into<String>,
        expected: E,
        found: F,
    ) {
        let holds = expected == found;
        let check = Check {
            what: what.into(),
            holds,
            expected: format!("{expected:?}"),
            found: format!("{found:?}"),
        };
        match holds {
            true => self.line(&format!("  ok    {}", check.what)),
            false => {
                self.line(&format!("  FAIL  {}", check.what));
                self.line(&format!("          expected  {}", check.expected));
                self.line(&format!("          found     {}", check.found));
            }
        }
        self.now().checks.push(check);
    }

    /// The story cannot go on.
    pub fn broke(&mut self, error: &impl Display) {
        self.line(&format!("  FAIL  {error}"));
        self.told.broke = Some(error.to_string());
    }

    /// Whether everything held so far.
    #[must_use]
    pub fn holds(&self) -> bool {
        let mut checks = self.told.steps.iter().flat_map(|step| &step.checks);
        self.told.broke.is_none() && checks.all(|check| check.holds)
    }

    /// Ends it, prints the result, and says whether everything held.
    pub fn end(mut self) -> bool {
        let took = self.began.elapsed();
        if self.told.broke.is_none() {
            let limit = self.limit;
            self.check(format!("all of it within {} s", limit.as_secs()), true, took <= limit);
        }
        self.close();
        self.told.seconds = took.as_secs_f64();
        self.told.holds = self.holds();
        self.line("");
        // A closed stdout changes nothing about the answer, which is the exit code.
        let _ = self.output.print(&self.told, table);
        self.told.holds
    }

    fn close(&mut self) {
        let took = self.step_began.elapsed();
        if let Some(step) = self.told.steps.last_mut() {
            step.seconds = took.as_secs_f64();
        }
    }

    fn now(&mut self) -> &mut Step {
        if self.told.steps.is_empty() {
            self.step("before the beginning");
        }
        let last = self.told.steps.len() - 1;
        &mut self.told.steps[last]
    }

    fn line(&self, line: &str) {
        match self.output {
            Output::Table => println!("{line}"),
            Output::Json | Output::Yaml => eprintln!("{line}"),
        }
    }
}

fn table(told: &Told) -> Table {
    let mut table = Table::new(["STEP", "TOOK", "CHECKS", "WHAT"]);
    for (number, step) in (1..).zip(&told.steps) {
        let good = step.checks.iter().filter(|check| check.holds).count();
        let took = shown(Duration::from_secs_f64(step.seconds));
        table.row([
            format!("{number}"),
            took,
            format!("{good} of {}", step.checks.len()),
            step.title.clone(),
        ]);
        for Measured { what, milliseconds } in &step.measured {
            let took = shown(Duration::from_secs_f64(milliseconds / 1000.0));
            table.row([String::new(), took, String::new(), format!("  {what}")]);
        }
    }
    let holds = if told.holds { "everything holds" } else { "NOT everything holds" };
    table.row([String::new(), shown(Duration::from_secs_f64(told.seconds)), String::new(), holds.to_owned()]);
    table
}

/// A duration for people.
#[must_use]
pub fn shown(took: Duration) -> String {
    let ms = took.as_secs_f64() * 1000.0;
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}
