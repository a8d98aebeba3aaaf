// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/verdict.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

// Posts packs over HTTPS. An interface, so that the uploader can be tested without a network.
namespace things {

struct HttpsSettings {
    std::string url;     ///< https only
    std::string ca_file; ///< empty: the system's trust store
    std::string proxy;   ///< empty: https_proxy and no_proxy of the environment
    std::string proxy_user;
    Secret proxy_password;
    ProxyAuth proxy_auth = ProxyAuth::any;
    std::string user_agent = "kpn-things-gateway";
    Milliseconds connect_timeout = seconds(10);
    Milliseconds timeout = seconds(30);
    int parallel = 8;
    Milliseconds hanging_after = seconds(3);         ///< posts older than this are cancelled by renew()
    std::size_t max_answer = std::size_t{64} * 1024; ///< bytes of body; more is cut off and an error
    std::size_t max_headers = 100;
    std::size_t max_header_bytes = std::size_t{32} * 1024;
};

/// Characters of a token.
inline constexpr std::size_t token_length = 64;

/// One post. The token is never logged.
struct Post {
    std::string body;
    std::string token; ///< of token_length; else the post is answered with `not_signed` and not sent
    /// No post at all: a HEAD of the host's root, without token and body, for the Date of the answer.
    bool asks_time = false;
};

/// One pool of connections for all devices; who may post when is the uploader's business.
class Https {
public:
    using Handler = std::function<void(Answer)>;
    virtual ~Https() = default;
    /// Starts a post; never blocks. The handler is called exactly once, on the upload thread. Any thread.
    /// An error is an Answer too; nothing is thrown. At most `parallel` connections are made, more posts wait
    /// inside.
    virtual void post(Post post, Handler handler) = 0;
    /// New settings after a reload, for posts that start later. Throws std::invalid_argument as make_https.
    /// Any thread.
    virtual void configure(HttpsSettings settings) = 0;
    /// The network changed: posts that have been waiting for long are cancelled, connections are made anew.
    /// Any thread.
    virtual void renew() = 0;
    /// Lets posts end for `grace`, cancels the rest, ends the thread. Blocks for about `grace` at most.
    /// Posts made later are answered with `cancelled`. Not from a handler.
    virtual void stop(Milliseconds grace) = 0;
    /// How long the upload thread has owed a sign of life (platform/heartbeat.hpp); asks for one. Loop.
    [[nodiscard]] virtual Milliseconds silence(std::int64_t now_ms) = 0;
};

/// The real one: libcurl's multi interface on a thread of its own, one connection pool, TLS 1.2 or newer,
/// certificates always verified, redirects never followed. Throws std::invalid_argument if the URL is not
/// an https URL, std::runtime_error if libcurl cannot start. Its destructor is stop(0).
[[nodiscard]] std::unique_ptr<Https> make_https(HttpsSettings settings);

/// What the configuration says, for the daemon and for `send` alike.
[[nodiscard]] HttpsSettings https_settings(const ThingsConfig& things);
/// The URL without path: "https://prod.dm.kpnthings.com/".
[[nodiscard]] std::string root_of(const std::string& url);
/// The host of a URL, for messages; empty if there is none.
[[nodiscard]] std::string host_of(const std::string& url);

} // namespace things
