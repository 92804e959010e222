//! Tests of the library as others use it.

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the catalogue is a file")]
mod catalogue;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "documents are files")]
mod documents;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod journals;
#[cfg(test)]
mod names;
#[cfg(test)]
mod queues;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "recordings are files")]
mod recording;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod wreck;
