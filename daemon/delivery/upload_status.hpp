// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/verdict.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

// What the uploader tells about itself. Plain values.
namespace things {

/// One device's uploads. Times are Unix milliseconds, 0: never.
/// A default one stands for a device that is not known. Counters are since the start of the daemon or the
/// device's last addition.
struct DeviceUploads {
    std::string state; ///< "idle", "sending", "waiting for a retry: ...", "parked: ...", "searching for ..."
    bool is_parked = false;
    std::int64_t last_accepted_ms = 0;
    int last_status = 0;
    std::string last_answer;                          ///< in words
    Milliseconds latency{0};                          ///< of the last complete answer
    std::uint64_t packs = 0, readings = 0, bytes = 0; ///< accepted
    std::uint64_t failures = 0;
    std::uint64_t dead = 0;      ///< readings set aside
    std::size_t max_records = 0; ///< present limits, lower than configured after a 413
    std::size_t max_bytes = 0;
};

/// All devices together, since the start.
/// Readings and packs count once each, however often they were tried; a repeat for a downlink counts as a
/// pack but not as a reading.
struct UploadTotals {
    std::uint64_t packs_accepted = 0, readings_accepted = 0, bytes_accepted = 0;
    std::uint64_t accepted_with_error = 0; ///< among packs_accepted: a 2xx, then a transport error
    std::array<std::uint64_t, answer_classes> answers{}; ///< by AnswerClass
    std::uint64_t readings_dead = 0;
    std::uint64_t retries = 0;
    std::size_t in_flight = 0;
    std::size_t parked = 0;
    bool is_uplink_open = true;        ///< false: the host does not answer, or asked for a pause
    std::string uplink;                ///< "up", or why not
    std::uint64_t uplink_failures = 0; ///< posts that found it down
    int uplink_status = 0;             ///< of the last of them
    Milliseconds latency{0};           ///< of the last complete answer
};

/// How a post ended, for an operator who asked for it. `text` explains the answer in full, without secrets.
struct PostResult {
    bool is_accepted = false;
    int status = 0; ///< of HTTP; 0: no answer came
    std::string text;
};

/// Something an operator should know, or that it is over.
/// `text` is a whole explanation for an operator, without secrets. The log has been told already.
struct UploadAlarm {
    enum class Kind : std::uint8_t { device_parked, device_failing, uplink_down, misdirected, dead_letter };
    Kind kind = Kind::uplink_down;
    std::optional<std::uint32_t> device; ///< DeviceId; none: the uplink as a whole
    std::string text;
};

} // namespace things
