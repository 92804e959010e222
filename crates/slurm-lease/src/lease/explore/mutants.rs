//! What is broken must be found out.

use super::run::explore;
use super::world::{Budget, World};
use super::{Mutant, Rule};

/// In what circumstances a mutant is found out, and by which rule.
fn trap(mutant: Mutant) -> (Rule, Budget) {
    let pair = Budget {
        acquires: 1,
        releases: 1,
        ticks: 2,
        ..Budget::NOTHING
    };
    let rivals = Budget {
        acquires: 2,
        ticks: 1,
        ..Budget::NOTHING
    };
    match mutant {
        Mutant::UnlistedIsAbsence => (Rule::ProvenOver, Budget { mutes: 1, ..pair }),
        Mutant::SilenceIsAbsence => (Rule::ProvenOver, Budget { hangs: 1, ..pair }),
        Mutant::UnknownIdIsNothing => (Rule::ReleaseEnds, Budget { purges: 1, ..pair }),
        Mutant::RequeueableIsOver => (Rule::ProvenOver, Budget { permits: 1, ..pair }),
        Mutant::CompletingIsEnding => (
            Rule::EndingEnds,
            Budget {
                requeues: 1,
                ..pair
            },
        ),
        Mutant::UnclearIsRefused => (Rule::ProvenOver, Budget { lost: 1, ..pair }),
        Mutant::NumberIsIdentity => {
            let reuse = Budget {
                wipes: 1,
                strangers: 1,
                ..pair
            };
            (Rule::OursOnly, reuse)
        }
        Mutant::CancelledIsOver => (Rule::ProvenOver, pair),
        Mutant::EndpointOfAnyRun => {
            let two_runs = Budget {
                requeues: 1,
                endpoints: 1,
                ..pair
            };
            (Rule::OwnEndpoint, two_runs)
        }
        Mutant::SbatchIsNeverRunning => (Rule::OneJob, rivals),
        Mutant::NoSettling => (Rule::ProvenOver, Budget { lost: 1, ..pair }),
        Mutant::IntentionWrittenLate => (Rule::ProvenOver, Budget { crashes: 1, ..pair }),
        Mutant::NothingWrittenBefore => (Rule::Recorded, Budget { crashes: 1, ..pair }),
        Mutant::TornIsWhole => {
            let torn = Budget {
                crashes: 1,
                cuts: 1,
                ..pair
            };
            (Rule::ProvenOver, torn)
        }
        Mutant::RemovalLooksAway => (
            Rule::ProvenOver,
            Budget {
                refusals: 1,
                ..rivals
            },
        ),
        Mutant::CommitLooksAway => (Rule::Coherent, rivals),
        Mutant::UnansweredIsClean => {
            let unanswered = Budget {
                crashes: 1,
                cuts: 1,
                hangs: 1,
                ticks: 0,
                ..pair
            };
            (Rule::ProvenOver, unanswered)
        }
        Mutant::StrayIsOver => {
            let stray = Budget {
                crashes: 1,
                cuts: 1,
                permits: 1,
                ticks: 0,
                ..pair
            };
            (Rule::ProvenOver, stray)
        }
        Mutant::EditedIsStranger => (Rule::ProvenOver, Budget { edits: 1, ..pair }),
        Mutant::NameIsIdentity => {
            let namesake = Budget {
                lost: 1,
                strangers: 1,
                ..pair
            };
            (Rule::OursOnly, namesake)
        }
    }
}

#[test]
fn every_mutant_is_found_out() {
    for &mutant in Mutant::ALL {
        let (rule, budget) = trap(mutant);
        let found = explore(World::new(budget, false, Some(mutant))).violation;
        let broken = found.as_ref().map(|(rule, _)| *rule);
        assert_eq!(broken, Some(rule), "{mutant:?}: {found:?}");
    }
}

#[test]
fn every_rule_finds_a_mutant_out() {
    for &rule in Rule::ALL {
        let finds = |mutant: &Mutant| trap(*mutant).0 == rule;
        assert!(Mutant::ALL.iter().any(finds), "{rule}");
    }
}
