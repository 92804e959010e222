//! The environment that a job's script gets.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Variables, `NAME=value` each. They are kept as one text: a shell has forty of them, and a queue
/// of ten thousand jobs is read by every command.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// Each with a NUL behind it, which none can hold.
    text: String,
}

impl Variables {
    /// All of them, in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.text.split_terminator('\0')
    }

    /// The value of a variable; of several of that name, the last counts.
    pub fn value(&self, name: &str) -> Option<&str> {
        let pairs = self.iter().filter_map(|variable| variable.split_once('='));
        let values = pairs.filter_map(|(known, value)| (known == name).then_some(value));
        values.last()
    }
}

impl<T: AsRef<str>> FromIterator<T> for Variables {
    fn from_iter<I: IntoIterator<Item = T>>(variables: I) -> Self {
        let mut text = String::new();
        for variable in variables {
            text.push_str(variable.as_ref());
            text.push('\0');
        }
        Self { text }
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

/// A list to people, one text to the state.
impl Serialize for Variables {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(self.iter())
        } else {
            self.text.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Variables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Vec::<String>::deserialize(deserializer).map(Self::from_iter);
        }
        let text = String::deserialize(deserializer)?;
        Ok(Self { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_back_from_people_and_from_the_state() {
        for list in [vec![], vec!["A=1", "B=", "A=a=b\nc"]] {
            let variables = Variables::from_iter(&list);
            assert_eq!(variables.iter().collect::<Vec<_>>(), list);
            let json = serde_json::to_string(&variables).expect("it is text");
            assert_eq!(json, serde_json::to_string(&list).expect("it is text"));
            let read = serde_json::from_str(&json);
            assert_eq!(read.ok().as_ref(), Some(&variables));
            let bytes = postcard::to_stdvec(&variables).expect("it is text");
            assert_eq!(postcard::from_bytes(&bytes), Ok(variables));
        }
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let variables = Variables::from_iter(["A=1", "AB=2", "A=a=b"]);
        assert_eq!(variables.value("A"), Some("a=b"));
        assert_eq!(variables.value("B"), None);
    }
}
