// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/setting.hpp"
#include "polling/driver.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What the gateway and a plugin's host process say to each other over their socket pair. Pure; any thread.
//
// A frame: length of the payload (4 bytes), type (1 byte), payload. All numbers are little endian; a text is
// its length (4 bytes) and its bytes; a list is its count (4 bytes) and its items; a value is its kind (1
// byte: 1 bool, 2 int, 3 uint, 4 number, 5 text, 0 none) and itself. Example, "write 1.5 to point 2, deadline
// 1000": 15 00 00 00 | 04 | 02 00 00 00 | 04 00 00 00 00 00 00 f8 3f | e8 03 00 00 00 00 00 00.
//
// The gateway sends one request and waits for its `result`; what the plugin says meanwhile comes before it,
// in order. `hello` is the host's first frame. An interruption is no frame: it is the eventfd that both ends
// hold.
namespace things {

/// Below 32 what the gateway asks, from there what the host says.
enum class FrameType : std::uint8_t {
    create = 1, ///< SourceWork
    poll,       ///< points, deadline
    listen,     ///< deadline
    write,      ///< point, value, deadline
    discover,   ///< settings, deadline
    plan,       ///< nothing
    destroy,    ///< nothing; the host ends after its result
    clock,      ///< 1: the system clock is believed, 0: not; has no result
    hello = 32, ///< PluginDescription, or the reason why there is none
    result,     ///< CallResult
    readings,
    garbage, ///< count, why
    event,
    problem,
    found,
    progress,
    patience ///< milliseconds
};

/// The payload is not looked at here; decode() below does, by type.
struct HostFrame {
    FrameType type = FrameType::result;
    std::string payload;
};

constexpr std::size_t longest_request = std::size_t{64} * 1024 * 1024; ///< a configuration may be large
constexpr std::size_t longest_answer = std::size_t{4} * 1024 * 1024;   ///< what the host may send

/// Length, type and payload, ready for the socket.
[[nodiscard]] std::string encode(const HostFrame& frame);

/// Cuts a stream of bytes into frames. Holds at most one frame and what came with it.
/// For bytes of a process that may have been taken over: a length beyond `longest` or an unknown type breaks
/// the stream before memory is asked for.
class HostFrameReader {
public:
    explicit HostFrameReader(std::size_t longest) : longest_(longest) {}
    void feed(std::string_view bytes);
    /// The next whole frame. Nothing if more bytes are needed or the stream is broken.
    [[nodiscard]] std::optional<HostFrame> next();
    /// A frame claimed to be longer than allowed; nothing after it makes sense.
    [[nodiscard]] bool is_broken() const { return is_broken_; }

private:
    std::size_t longest_;
    std::string buffer_;
    std::size_t used_ = 0;
    bool is_broken_ = false;
};

/// Deadlines are CLOCK_MONOTONIC in milliseconds, which both processes share.
/// `points` by index, as in SourceWork.
struct PollFrame {
    std::vector<std::uint32_t> points;
    std::int64_t deadline_ms = 0;
};
/// The value is the raw one, without labels.
struct WriteFrame {
    std::uint32_t point = 0;
    Value value;
    std::int64_t deadline_ms = 0;
};
struct DiscoverFrame {
    std::vector<Setting> options;
    std::int64_t deadline_ms = 0;
};
/// Readings that the host refused to hand on, counted there.
struct GarbageFrame {
    std::uint64_t count = 0;
    std::string why;
};
/// Without an error the plugin is loaded and waits for `create`.
struct HelloFrame {
    PluginDescription description;
    std::string error; ///< empty: the description counts
};

/// Writable only where the configuration allows writes at all.
[[nodiscard]] std::string encode(const SourceWork& work);
[[nodiscard]] std::string encode(const PollFrame& frame);
[[nodiscard]] std::string encode(const WriteFrame& frame);
[[nodiscard]] std::string encode(const DiscoverFrame& frame);
[[nodiscard]] std::string encode(const GarbageFrame& frame);
[[nodiscard]] std::string encode(const HelloFrame& frame);
[[nodiscard]] std::string encode(const CallResult& result);
[[nodiscard]] std::string encode(const std::vector<RawReading>& readings);
[[nodiscard]] std::string encode(const SourceEvent& event);
[[nodiscard]] std::string encode(const SettingProblem& problem);
[[nodiscard]] std::string encode_number(double number);
[[nodiscard]] std::string encode_time(std::int64_t time_ms);

/// Each fills `out` and returns true if the payload is exactly one of its kind. Of a SourceWork only what a
/// plugin gets to see travels.
[[nodiscard]] bool decode(std::string_view payload, SourceWork& out);
[[nodiscard]] bool decode(std::string_view payload, PollFrame& out);
[[nodiscard]] bool decode(std::string_view payload, WriteFrame& out);
[[nodiscard]] bool decode(std::string_view payload, DiscoverFrame& out);
[[nodiscard]] bool decode(std::string_view payload, GarbageFrame& out);
[[nodiscard]] bool decode(std::string_view payload, HelloFrame& out);
[[nodiscard]] bool decode(std::string_view payload, CallResult& out);
[[nodiscard]] bool decode(std::string_view payload, std::vector<RawReading>& out);
[[nodiscard]] bool decode(std::string_view payload, SourceEvent& out);
[[nodiscard]] bool decode(std::string_view payload, SettingProblem& out);
[[nodiscard]] bool decode(std::string_view payload, double& out);
[[nodiscard]] bool decode(std::string_view payload, std::int64_t& out);

} // namespace things
