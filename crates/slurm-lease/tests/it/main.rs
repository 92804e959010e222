//! Tests of the library as others use it.

#[cfg(test)]
mod evidence;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "recordings are files")]
mod recording;
