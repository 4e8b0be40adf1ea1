use futures_util::future::BoxFuture;

pub trait Readiness: Send + Sync + 'static {
    /// The dependencies that are not there, by name; empty means that requests can be served.
    fn missing(&self) -> BoxFuture<'_, Vec<String>>;

    /// What works, but not for every tenant, or not as well: an operator has to look, and taking the server out would help nobody.
    fn degraded(&self) -> Vec<String> {
        Vec::new()
    }
}
