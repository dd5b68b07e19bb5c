#![allow(clippy::unwrap_used, reason = "tests")]
use proptest::prelude::*;

use super::*;

const CALM: Standing = Standing { complete: true, same_authority: true, recovering: false, accepted: false };

fn rows(keys: &[&str]) -> BTreeMap<String, Vec<u8>> {
    keys.iter().map(|key| ((*key).to_owned(), key.as_bytes().to_vec())).collect()
}

fn wanted(keys: &[&str]) -> BTreeMap<String, Wanted> {
    let want = |(key, object)| (key, Wanted { object: Some(object), cause: None });
    rows(keys).into_iter().map(want).collect()
}

fn recorded(key: &str, reason: RemovalReason) -> BTreeMap<String, Gone> {
    BTreeMap::from([(key.to_owned(), Gone { reason, cause: None })])
}

fn removed(outcome: &Outcome) -> Vec<(&str, RemovalReason)> {
    outcome.removals.iter().map(|(key, reason, _)| (key.as_str(), *reason)).collect()
}

fn pass(current: &[&str], want: &[&str], gone: &BTreeMap<String, Gone>, standing: Standing) -> Outcome {
    reconcile(&rows(current), &wanted(want), gone, current.len(), standing)
}

#[test]
fn only_differences_are_put() {
    let mut want = wanted(&["a", "b"]);
    want.get_mut("a").unwrap().object = Some(b"new".to_vec());
    let outcome = reconcile(&rows(&["a", "b"]), &want, &BTreeMap::new(), 2, CALM);
    assert_eq!(outcome.puts, [("a".to_owned(), b"new".to_vec(), None)]);
    assert_eq!((outcome.removals.len(), outcome.held.len()), (0, 0));
}

#[test]
fn what_cannot_go_down_leaves_what_is_there() {
    let want = BTreeMap::from([("a".to_owned(), Wanted { object: None, cause: None })]);
    assert_eq!(reconcile(&rows(&["a"]), &want, &BTreeMap::new(), 1, CALM), Outcome::default());
}

#[test]
fn an_object_leaves_for_a_recorded_reason_only() {
    let incomplete = Standing { complete: false, ..CALM };
    let foreign = Standing { same_authority: false, ..CALM };
    for reason in [RemovalReason::Deleted, RemovalReason::Moved] {
        for standing in [CALM, incomplete, foreign] {
            assert_eq!(removed(&pass(&["a"], &[], &recorded("a", reason), standing)), [("a", reason)]);
        }
    }
    let none = BTreeMap::new();
    assert_eq!(removed(&pass(&["a"], &[], &none, CALM)), [("a", RemovalReason::Unlisted)]);
    for standing in [incomplete, foreign] {
        let outcome = pass(&["a"], &[], &none, standing);
        assert_eq!(outcome.held, BTreeMap::from([("a".to_owned(), Held::NotRecorded)]));
        assert_eq!(removed(&outcome), []);
    }
}

#[test]
fn nothing_is_removed_while_recovering_until_an_operator_accepts() {
    let recovering = Standing { recovering: true, ..CALM };
    let outcome = pass(&["a", "b"], &["b", "c"], &recorded("a", RemovalReason::Deleted), recovering);
    assert_eq!(removed(&outcome), []);
    assert_eq!(outcome.held, BTreeMap::from([("a".to_owned(), Held::Recovering)]));
    assert_eq!(outcome.puts.len(), 1, "puts go on");
    let accepted = Standing { accepted: true, ..recovering };
    let outcome = pass(&["a", "b"], &["b"], &BTreeMap::new(), accepted);
    assert_eq!(removed(&outcome), [("a", RemovalReason::Accepted)]);
    let blind = Standing { accepted: true, complete: false, ..recovering };
    assert_eq!(removed(&pass(&["a", "b"], &["b"], &BTreeMap::new(), blind)), []);
}

#[test]
fn a_large_part_that_is_unlisted_at_once_is_held_back() {
    let twenty: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    let twenty: Vec<&str> = twenty.iter().map(String::as_str).collect();
    let none = BTreeMap::new();
    assert_eq!(removed(&pass(&twenty, &twenty[6..], &none, CALM)).len(), 6, "30 % is not too much");
    let outcome = pass(&twenty, &twenty[7..], &none, CALM);
    assert_eq!((removed(&outcome).len(), outcome.held.len()), (0, 7));
    assert!(outcome.held.values().all(|held| *held == Held::TooMany));
    assert_eq!(removed(&pass(&twenty[..5], &[], &none, CALM)).len(), 5, "five are never too many");
    let mut all = BTreeMap::new();
    twenty.iter().for_each(|key| all.extend(recorded(key, RemovalReason::Deleted)));
    assert_eq!(removed(&pass(&twenty, &[], &all, CALM)).len(), 20, "each recorded on its own");
}

proptest! {
    #[test]
    fn removals_are_unwanted_and_have_their_evidence(
        current in proptest::collection::btree_set("[a-f]", 0..6),
        want in proptest::collection::btree_set("[a-f]", 0..6),
        gone in proptest::collection::btree_set("[a-f]", 0..6),
        complete: bool, same_authority: bool, recovering: bool, accepted: bool,
    ) {
        let names = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
        let (current, want) = (names(&current), names(&want));
        let refs = |list: &'_ [String]| list.iter().map(String::clone).collect::<Vec<_>>();
        let evidence: BTreeMap<_, _> = gone.iter()
            .map(|key| (key.clone(), Gone { reason: RemovalReason::Deleted, cause: None })).collect();
        let standing = Standing { complete, same_authority, recovering, accepted };
        let (have, wish) = (refs(&current), refs(&want));
        let (have, wish): (Vec<&str>, Vec<&str>) =
            (have.iter().map(String::as_str).collect(), wish.iter().map(String::as_str).collect());
        let outcome = pass(&have, &wish, &evidence, standing);
        for (key, reason, _) in &outcome.removals {
            prop_assert!(have.contains(&key.as_str()) && !wish.contains(&key.as_str()));
            match reason {
                RemovalReason::Accepted => prop_assert!(accepted && complete),
                RemovalReason::Unlisted => prop_assert!(complete && same_authority && !recovering),
                RemovalReason::Deleted | RemovalReason::Moved => {
                    prop_assert!(gone.contains(key) && !recovering);
                }
            }
        }
        let unwanted = have.iter().filter(|key| !wish.contains(*key)).count();
        prop_assert_eq!(unwanted, outcome.removals.len() + outcome.held.len());
    }
}
