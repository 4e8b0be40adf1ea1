use futures_util::future::BoxFuture;

pub trait Readiness: Send + Sync + 'static {
    /// The dependencies that are not there, by name; empty means that requests can be served.
    fn missing(&self) -> BoxFuture<'_, Vec<String>>;
}
