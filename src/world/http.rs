//! The HTTP client by which InfluxDB is reached, one for the controller's questions and the collector's points. What is
//! sent, and what an answer means, is decided by those who use it.

use reqwest::{Client, redirect};

/// An HTTP client for any number of servers.
///
/// # Guarantees
/// No redirect is followed, so that a token goes nowhere else.
///
/// Where no CA certificates are installed (an image made from scratch), it serves `http://` all the same; that `https://`
/// cannot be used is told when it is asked for.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client,
    /// Why `https://` cannot be used, if it cannot.
    no_https: Option<NoCertificates>,
}

/// No server's certificate can be verified here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot use https, since no CA certificates are found here ({reason}); install them (in Debian the package `ca-certificates`), or name their file in SSL_CERT_FILE"
)]
pub struct NoCertificates {
    reason: String,
}

impl HttpClient {
    /// Looks for the system's CA certificates.
    ///
    /// # Errors
    /// When the system refuses what an HTTP client needs.
    pub fn new() -> Result<Self, reqwest::Error> {
        // The whole process has one provider; who was first is of no matter, since all choose this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || Client::builder().redirect(redirect::Policy::none());
        match builder().build() {
            Ok(client) => Ok(Self {
                client,
                no_https: None,
            }),
            Err(error) => Ok(Self {
                client: builder().tls_certs_only([]).build()?,
                no_https: Some(NoCertificates {
                    reason: reasons(&error),
                }),
            }),
        }
    }

    /// The client for requests to `url`.
    ///
    /// # Errors
    /// When its certificate could not be verified.
    pub fn client_for(&self, url: &str) -> Result<&Client, NoCertificates> {
        let scheme = url.split(':').next().unwrap_or_default();
        match &self.no_https {
            Some(problem) if scheme.eq_ignore_ascii_case("https") => Err(problem.clone()),
            Some(_) | None => Ok(&self.client),
        }
    }
}

/// An error and its causes on one line; the outermost one rarely tells what happened.
pub fn reasons(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
