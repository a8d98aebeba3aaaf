// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "simulator/http.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

// Faults on demand: what the simulator does to the next requests instead of, or on top of, a proper answer.
// Pure values; `spoil` turns a proper answer into a bad one.
//
// As JSON: {"kind":"status","status":503,"retry_after":"5","count":10,"device":"6f1c2b9e-..."}
//   status     take nothing, answer with `status` (and Retry-After, Location, body)
//   close      take nothing, close without an answer
//   reset      take nothing, reset the connection
//   silent     take nothing, say nothing, keep the connection
//   garbage    take nothing, answer with bytes that are not HTTP, close
//   accept     take the pack, answer with `status`, `body`, `content_type`: 202 with garbage, 204, ...
//   lost       take the pack, close without an answer: the accepting answer got lost
//   truncated  take the pack, announce 100 bytes, send 10, close
//   drip       take the pack, send the proper answer, one byte each `drip_ms`
//   huge       take the pack, answer with a body of `bytes` bytes
//   raw        take nothing, send `body` as it stands, then `more` again and again up to `bytes` bytes, close
//   raw_taken  take the pack, then as raw
//   early      read no body: send `body` (or `status`) as soon as the request's head is there, close; any
//   device
// `delay_ms` waits before any of them. `count` requests are treated so (0: all until cleared); the first
// behaviour that fits a request is used. For an outage see "down" at the control port.
namespace things::simulator {

struct Behaviour {
    enum class Kind {
        status,
        accept,
        close,
        reset,
        silent,
        lost,
        garbage,
        truncated,
        drip,
        huge,
        raw,
        raw_taken,
        early
    };
    Kind kind = Kind::status;
    int status = 503;
    std::string device; // id; empty: every device
    std::string retry_after;
    std::string location;
    std::string body;
    std::string more;
    std::string content_type;
    std::chrono::milliseconds delay{0};
    std::chrono::milliseconds drip{20};
    std::uint64_t bytes = 100'000'000;
    std::uint64_t count = 1; // 0: until cleared
    std::uint64_t used = 0;
};

std::optional<Behaviour::Kind> parse_kind(std::string_view text);
std::string_view name_of(Behaviour::Kind kind);

/// Is the pack checked and stored as always before the answer is spoilt?
bool takes_the_pack(Behaviour::Kind kind);

/// The answer to send instead of `proper`.
Answer spoil(const Behaviour& behaviour, Answer proper, bool keep_alive);

} // namespace things::simulator
