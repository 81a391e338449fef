//! The review queue's order: what is due first, then the oldest, and a place in it that stays what it is when questions
//! around it, or the one it was taken from, are answered.

use std::fmt;
use std::str::FromStr;

use super::ids::ReviewId;
use super::standing::ReviewStanding;
use super::time::Timestamp;

/// A place in the queue: right after, or right before, a question as it was when its page was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When the question must be answered; what has no such time comes after all that has one.
    pub due_at: Option<Timestamp>,
    /// When it was opened last.
    pub opened_at: Timestamp,
    /// The question.
    pub id: ReviewId,
}

impl Place {
    /// The place of a question.
    #[must_use]
    pub fn of(review: &ReviewStanding) -> Place {
        Place {
            due_at: review.due_at,
            opened_at: review.opened_at,
            id: review.id,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(due) = self.due_at {
            write!(f, "{}", due.ms())?;
        }
        write!(f, "~{}~{}", self.opened_at.ms(), self.id)
    }
}

/// What is not a place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Place, NoPlace> {
        let ms = |text: &str| text.parse().map(Timestamp::from_ms).map_err(|_| NoPlace);
        let (due, rest) = text.split_once('~').ok_or(NoPlace)?;
        let (opened, id) = rest.split_once('~').ok_or(NoPlace)?;
        Ok(Place {
            due_at: match due {
                "" => None,
                due => Some(ms(due)?),
            },
            opened_at: ms(opened)?,
            id: id.parse().map_err(|_| NoPlace)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Id;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for due_at in [None, Some(Timestamp::from_ms(1_777_777_777_000))] {
            let place = Place {
                due_at,
                opened_at: Timestamp::from_ms(1_700_000_000_001),
                id: ReviewId::from_uuid(uuid::Uuid::from_u128(7)),
            };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for wrong in ["", "~", "~~", "~1~rev_x", "x~1~rev_x", "1"] {
            assert_eq!(wrong.parse::<Place>(), Err(NoPlace), "{wrong}");
        }
    }
}
