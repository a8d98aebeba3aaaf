// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// What came back from one post, and what it means for the readings that were in it. Pure functions.
namespace things {

/// How the exchange ended on the way; `none` if a complete answer arrived.
enum class TransportError : std::uint8_t {
    none,
    resolve,     ///< no address for the host
    connect,     ///< no connection
    proxy,       ///< the proxy refused or could not be found
    certificate, ///< the server's certificate was not accepted
    tls,         ///< the TLS handshake failed otherwise
    timeout,     ///< too slow, in whatever phase
    broken,      ///< the connection ended early
    bad_answer,  ///< not HTTP, or against its rules
    too_large,   ///< more answer than is read
    cancelled,   ///< ended by us: shutdown, or the network changed
    internal,    ///< the HTTP library failed
    not_signed,  ///< this machine could not compute the token, so nothing was sent
};

/// What came back from one post.
/// Text from outside: `detail`, `body` and the headers are bounded in length (Https) but otherwise anything.
struct Answer {
    int status = 0; ///< 0: none was seen
    TransportError error = TransportError::none;
    bool is_verified = false; ///< over TLS, so that it is the platform's own
    bool sent = false;        ///< at least a part of the request may have reached the platform
    std::string detail;       ///< the library's words for the error, or empty
    std::string body;         ///< up to the limit
    int proxy_status = 0;     ///< of a proxy that makes no tunnel; 0: none
    std::string proxy_offers; ///< "basic, digest": how that proxy wants to be logged in at; or empty
    std::string retry_after;  ///< header as received, or empty
    std::string date;         ///< header as received, or empty
    std::string location;     ///< header as received, or empty
    std::string content_type; ///< header as received, or empty
    Milliseconds duration{0};
};

/// What happens next with the readings of a pack.
enum class Next : std::uint8_t {
    delivered,            ///< the platform has them
    delivered_with_error, ///< a 2xx was seen, then the transport failed: the platform has them
    retry,                ///< send the same again later
    park,                 ///< the platform does not accept this device: keep them, probe rarely
    halve,                ///< too large: send less at once
    bisect,               ///< something in it is not accepted: find it
    misdirected,          ///< a redirect, or a 2xx that is not the platform's: the URL is wrong, or something
                          ///< in between answers; pause all
};

/// Whom a `retry` holds back.
enum class Scope : std::uint8_t { device, uplink };

///
/// By status; one sign alone does not make a success if another contradicts it:
///   202                      delivered, also if the answer broke off; misdirected if it is an HTML page
///   other 2xx                delivered with a SenML pack as its body; retry if it broke off; else
///   misdirected 3xx                      misdirected: uplink, one minute 401 403 404              park 413
///   halve 408 425 5xx, none        retry: device; the uplink for 503 and failures before the request 429
///   retry: uplink any other 4xx            bisect
struct Verdict {
    Next next = Next::retry;
    Scope scope = Scope::device;
    bool counts_for_breaker = false;  ///< a sign that the host as a whole is not well
    std::optional<Milliseconds> wait; ///< asked for by Retry-After, 0 to 1 h
    std::string reason;               ///< short: "503 Service Unavailable", "no address for the host"
    /// What failed, without what differs each time (durations, titles): equal for the same cause.
    std::string cause;
};

/// Classes to count by, and their names for metrics ("delivered", "network", "server" ...).
enum class AnswerClass : std::uint8_t {
    delivered,
    delivered_with_error,
    network,
    tls,
    redirect,
    refused_content, ///< 400 and other 4xx
    refused_device,  ///< 401 403 404
    too_large,
    throttled,   ///< 429
    server,      ///< 5xx, 408, 425
    intercepted, ///< a 2xx that is not the platform's
};
/// The number of classes above, for arrays that are indexed by them.
constexpr std::size_t answer_classes = 11;
/// A label of the metrics: never renamed lightly, dashboards hold on to it.
[[nodiscard]] std::string_view name_of(AnswerClass kind);
[[nodiscard]] AnswerClass classify(const Answer& answer);

/// `now_wall_ms` is for a Retry-After date without a Date header beside it.
[[nodiscard]] Verdict judge(const Answer& answer, std::int64_t now_wall_ms);

/// Retry-After in seconds or as a date, clamped to 0 to 1 h; none if it is neither. A date is compared with
/// the answer's own Date header where there is one, since our clock may be wrong.
[[nodiscard]] std::optional<Milliseconds> parse_retry_after(std::string_view retry_after,
                                                            std::string_view date, std::int64_t now_wall_ms);
/// An HTTP date ("Sun, 06 Nov 1994 08:49:37 GMT") as seconds since the epoch.
/// All three forms of RFC 9110 5.6.7; none if it is no date. A two-digit year below 70 is of this century.
[[nodiscard]] std::optional<std::int64_t> parse_http_date(std::string_view text);

} // namespace things
