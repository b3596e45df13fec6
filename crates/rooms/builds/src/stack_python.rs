//! Which Python a build gets: the newest of the catalogue that can be fetched, or the one its stack is made with.
//!
//! The stack's build image has a Python of its own, from the distribution's verified packages. The runner makes a runtime
//! of it in an instance of its own that holds nothing of a tenant, so that Python apps build where nothing can be fetched.

use std::fs::File;

use blobs::Output;
use engine::InstalledStack;
use inside_contract::{BuildRequest, PythonRequirement, Runtime, RuntimeWish};
use store::builds::Build;

use crate::compile::Trouble;
use crate::instance::{Ran, Verb, What};
use crate::runtimes::{self, Mounted};
use crate::{Builds, layers};

const NAME: &str = "python";

impl Builds {
    /// Meets a wish for Python, if there is one.
    pub(crate) async fn python(
        &self,
        build: &Build,
        wishes: &[RuntimeWish],
        output: &mut Output,
    ) -> Result<Option<Mounted>, Trouble> {
        let Some(wish) = wishes.iter().find(|wish| wish.name == NAME) else { return Ok(None) };
        let cause = match self.runtimes.python(&wish.requirement).await? {
            Ok(mounted) => return Ok(Some(mounted)),
            Err(error @ runtimes::Error::Requirement { .. }) => return Err(error.into()),
            Err(error) => error,
        };
        let own = self.of_the_stack(build, output).await?;
        let wanted = self.runtimes.python_requirement(&wish.requirement)?;
        if own.runtime.version.parse().is_ok_and(|version| PythonRequirement::meets(&wanted, version)) {
            tracing::info!(%cause, version = own.runtime.version, "the stack's own Python is used");
            return Ok(Some(own));
        }
        Err(match cause {
            cause @ runtimes::Error::Unavailable { .. } => cause.into(),
            cause => runtimes::Error::PythonAway {
                requirement: wish.requirement.clone(),
                own: own.runtime.version,
                cause: Box::new(cause),
            }
            .into(),
        })
    }

    /// The runtime made of the stack's own Python. It is one of the image it was made of: that of another stack, or of
    /// this one renewed, may look for libraries that this image does not have.
    async fn of_the_stack(&self, build: &Build, output: &mut Output) -> Result<Mounted, Trouble> {
        let InstalledStack { image, buildpacks, .. } = self.installed_stack(build.stack).await?;
        let _guard = self.runtimes.alone(&Runtime { name: NAME.to_owned(), version: image.to_string() }).await;
        if let Some(mounted) = self.runtimes.of_the_image(NAME, &image).await? {
            return Ok(mounted);
        }
        let source = File::open("/dev/null").map_err(|error| Trouble::Again(format!("/dev/null: {error}")))?;
        let request = BuildRequest::for_nothing(&buildpacks);
        let verb = Verb::StackRuntime(NAME);
        let what = What { app: build.app_id, stack: build.stack, layers: Vec::new(), source, request: &request, verb };
        let Ran::<Runtime> { report: runtime, slug, .. } = self.instance(what, output).await?;
        let (packed, draft) = slug?;
        let layer = layers::finish(&self.blobs, &packed, draft).await?;
        let layer = self.runtimes.keep(&runtime, Some(&image), &layer).await?;
        Ok(Mounted { runtime, layer })
    }
}
