//! `after`: what happens to an object that was read to its end, once that is durable.
//!
//! It happens to the very content that was read: every call names its ETag, or is made right behind
//! a look at it. A kill between *durable* and this leaves an entry that says so (`Entry::Read`): the
//! next sweep that passes the object does it then. A kill between this and the change of the entry
//! leaves an entry of an object that is gone, which the end of a sweep drops, or a tag that is set
//! once more.

use towpath_sdk::{Error, Result};

use super::config::After;
use crate::client::{Client, Failure, Listed};

/// S3 copies no larger object in one call.
const COPY_BYTES_MAX: u64 = 5 << 30;
/// The tag of what was read.
const TAG: (&str, &str) = ("towpath", "read");

/// Does with `object`, a key of `prefix`, what `after` says; done, too, when it is not there any
/// more, or is another one.
pub async fn dispose(client: &Client, after: &After, prefix: &str, object: &Listed) -> Result<()> {
    let outcome = match after {
        After::Keep => Ok(()),
        After::Delete => delete(client, object).await,
        After::Tag => tag(client, object).await,
        After::Move(_) if object.size > COPY_BYTES_MAX => {
            return Err(Error::configuration("move", &object.key)
                .because("S3 copies 5 GiB at most")
                .remedy("set `after` to keep, tag or delete"));
        }
        After::Move(to) => {
            let rest = object.key.strip_prefix(prefix).unwrap_or(&object.key);
            match client.copy(object, &format!("{to}{rest}")).await {
                Ok(()) => delete(client, object).await,
                Err(failure) => Err(failure),
            }
        }
    };
    match outcome {
        Err(failure) if !failure.is("NoSuchKey") && !failure.is("PreconditionFailed") => {
            Err(failure.into())
        }
        _ => Ok(()),
    }
}

/// Not every store knows the condition of the deletion itself.
async fn delete(client: &Client, object: &Listed) -> Result<(), Failure> {
    if is_there(client, object).await? {
        client.delete(object).await?;
    }
    Ok(())
}

async fn tag(client: &Client, object: &Listed) -> Result<(), Failure> {
    if is_there(client, object).await? {
        client.tag(&object.key, TAG.0, TAG.1).await?;
    }
    Ok(())
}

async fn is_there(client: &Client, object: &Listed) -> Result<bool, Failure> {
    let found = client.look_at(&object.key).await?;
    Ok(found.is_some_and(|found| found.etag == object.etag))
}
