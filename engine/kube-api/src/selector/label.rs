//! Label selectors: `a=b,c!=d,e in (f,g),h notin (i),j,!k,n>1`.

use serde_json::{Map, Value};

use super::SelectorError;
use crate::names;

/// What labels an object must have. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

impl LabelSelector {
    /// Reads a selector; empty text selects everything.
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        let tokens = tokens(text);
        let mut parser = Parser { tokens: &tokens };
        let mut requirements = Vec::new();
        if tokens.is_empty() {
            return Ok(Self::default());
        }
        loop {
            requirements.push(parser.requirement()?);
            match parser.next() {
                None => break,
                Some(Token::Symbol(",")) => {}
                Some(other) => {
                    return Err(syntax(format!(
                        "found '{}', expected: ',' or 'end of string'",
                        other.text()
                    )));
                }
            }
        }
        Ok(Self(requirements))
    }

    /// Whether everything is selected.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `object` is selected.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let none = Map::new();
        let labels = object["metadata"]["labels"].as_object().unwrap_or(&none);
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &Map<String, Value>) -> bool {
        let value = labels.get(&self.key).and_then(Value::as_str);
        let number = || value.and_then(|text| text.parse::<i64>().ok());
        match &self.test {
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
            Test::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
            Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
            Test::Greater(limit) => number().is_some_and(|n| n > *limit),
            Test::Less(limit) => number().is_some_and(|n| n < *limit),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Symbol(&'static str),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Symbol(symbol) => symbol,
        }
    }
}

fn syntax(why: impl Into<String>) -> SelectorError {
    SelectorError::Syntax(why.into())
}

const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", ",", "(", ")", ">", "<"];

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            found.push(Token::Symbol(symbol));
            rest = &rest[symbol.len()..];
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || "=!,()><".contains(c)).unwrap_or(rest.len());
            found.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    found
}

struct Parser<'a> {
    tokens: &'a [Token],
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn peek(&self) -> Option<&'a Token> {
        self.tokens.first()
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let negated = self.peek() == Some(&Token::Symbol("!"));
        if negated {
            self.next();
        }
        let key = match self.next() {
            Some(Token::Word(word)) => word.clone(),
            Some(other) => return Err(syntax(format!("found '{}', expected: identifier", other.text()))),
            None => return Err(syntax("found '', expected: identifier")),
        };
        if let Some(why) = names::label_key_error(&key) {
            return Err(syntax(format!("key: Invalid value: {key:?}: {why}")));
        }
        let test = match self.peek() {
            None | Some(Token::Symbol(",")) => {
                if negated {
                    Test::Absent
                } else {
                    Test::Exists
                }
            }
            _ if negated => return Err(syntax("'!' takes a key alone")),
            Some(_) => self.test()?,
        };
        Ok(Requirement { key, test })
    }

    fn test(&mut self) -> Result<Test, SelectorError> {
        let operator = self.next().map_or("", Token::text);
        let test = match operator {
            "=" | "==" => Test::In(vec![self.value()]),
            "!=" => Test::NotIn(vec![self.value()]),
            "in" => Test::In(self.values()?),
            "notin" => Test::NotIn(self.values()?),
            ">" | "<" => {
                let text = self.value();
                let number = text.parse().map_err(|_| {
                    syntax(format!("values[0]: Invalid value: {text:?}: for 'Gt', 'Lt' operators, the value must be an integer"))
                })?;
                if operator == ">" { Test::Greater(number) } else { Test::Less(number) }
            }
            other => {
                let why = format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt");
                return Err(syntax(why));
            }
        };
        if let Test::In(values) | Test::NotIn(values) = &test {
            for (index, value) in values.iter().enumerate() {
                if let Some(why) = names::label_value_error(value) {
                    return Err(syntax(format!("values[{index}]: Invalid value: {value:?}: {why}")));
                }
            }
        }
        Ok(test)
    }

    /// One value; may be absent, which is the empty value.
    fn value(&mut self) -> String {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.next();
                word.clone()
            }
            _ => String::new(),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, SelectorError> {
        if self.next() != Some(&Token::Symbol("(")) {
            return Err(syntax("expected: '('"));
        }
        let mut values = vec![self.value()];
        loop {
            match self.next() {
                Some(Token::Symbol(",")) => values.push(self.value()),
                Some(Token::Symbol(")")) => return Ok(values),
                Some(other) => {
                    return Err(syntax(format!("found '{}', expected: ',', or ')'", other.text())));
                }
                None => return Err(syntax("found '', expected: ',', or ')'")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(selector: &str, expected: bool) {
        let object = json!({ "metadata": { "labels": { "a": "b", "n": "5", "x.io/y": "" } } });
        assert_eq!(LabelSelector::parse(selector).unwrap().matches(&object), expected, "{selector}");
    }

    #[test]
    fn requirements() {
        for yes in [
            "",
            "a",
            "a=b",
            "a==b",
            "a!=c",
            "!c",
            "a in (c, b)",
            "a notin (c)",
            "c notin (c)",
            "c!=d",
            "n>4",
            "n < 6",
            "a=b,!c,n>1",
            "x.io/y",
            "x.io/y=",
            "x.io/y in ()",
            " a = b ",
        ] {
            check(yes, true);
        }
        for no in
            ["c", "a=c", "a!=b", "!a", "a in (c)", "a notin (b,c)", "n>5", "n<5", "a>1", "a=b,c", "c in (d)"]
        {
            check(no, false);
        }
    }

    #[test]
    fn what_is_not_a_selector_is_refused() {
        for wrong in [
            ",", "a,", "a in b", "a in (b", "=b", "a=b c", "!a=b", "a>b", "-a", "a=b/c", "a b", "a/b/c", "(",
            "a=!",
        ] {
            assert!(LabelSelector::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z!=(),<> /.-]{0,40}|\\PC{0,40}") {
            if let Ok(selector) = LabelSelector::parse(&text) {
                selector.matches(&json!({ "metadata": { "labels": { "a": "b" } } }));
            }
        }
    }
}
