//! Tests of the library as others use it.

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "recordings are files")]
mod fixtures;
