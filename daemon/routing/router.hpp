// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "model/command.hpp"
#include "platform/after.hpp"
#include "platform/clock.hpp"
#include "routing/bus.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

// From an answer to a write and back: parse, check, store, run, read back, tell. Loop only.
// After a crash: a command is stored before it can begin and marked begun before its write is handed to the
// bus. `start` carries out what had not begun and is not expired, and verifies by reading back, never by
// writing again, what had begun.
namespace things {

/// What goes up because of a command: a point's value as read back, or a text saying what happened; to be
/// queued as a reading. The answer to its post also brings the next downlink.
struct Outcome {
    std::string device;
    std::string name; ///< the point, or its `outcome` name
    std::string unit; ///< the point's; empty for texts
    Value value;
    Stamp stamp;
    bool urgent = true; ///< to be posted at once; false once a device has had its share of posts
};

/// What the router calls. All of it on the loop; all must outlive the router.
struct RouterPorts {
    Bus& bus;
    CommandStore& store;
    const Clock& clock;
    After after; ///< calls back on the loop after so long
    std::function<void(Outcome)> on_outcome;
    /// Posts something for the device at once, to be handed its next downlink; where no outcome does that
    /// soon.
    std::function<void(const std::string& device)> fetch_next;
    /// Whether our clock may be held against the times in a downlink; empty: while it is synchronised.
    std::function<bool()> is_clock_vouched = {};
};

/// For metrics. Count up from the start of the process.
struct RouterCounts {
    std::uint64_t downlinks = 0, malformed = 0, foreign = 0;
    std::uint64_t done = 0, failed = 0, refused = 0, expired = 0, repeated = 0;
    std::uint64_t fetches = 0, fetches_delayed = 0;
    std::uint64_t waiting = 0; ///< at this moment
};

/// How a write by hand ended, for who asked.
enum class LocalEnd : std::uint8_t {
    done,
    failed,  ///< refused, or the point reads back otherwise
    silent,  ///< the device did not answer
    unknown, ///< there is no such device or point
};

/// A command is refused rather than queued if its device has 200 waiting already.
class Router {
public:
    Router(RouterPorts ports, const Config& config);
    ~Router(); ///< what runs is left to the next start
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    /// Takes up what had not ended when the daemon went down. Once, when the bus can be called.
    void start();

    /// The body of any 2xx answer to a post of `device` (its name in the configuration). Never throws; does
    /// nothing for an unknown device.
    /// Blocks for nothing; the store's handler goes on later. Answers that are no downlink leave ten audit
    /// lines at once and one a minute after that.
    void on_answer(const std::string& device, std::string_view body);

    /// What came instead of a body could not be read to its end: told like a body that is no downlink.
    void on_broken_answer(const std::string& device, const std::string& reason);

    /// As on_answer(), for a device whose last readings are sent after it left the configuration: nothing is
    /// carried out, and the audit says so.
    void on_late_answer(const std::string& dvnuuid, std::string_view body);

    /// A write by hand: same checks, same path, same audit. The handler is called once, when it has ended or
    /// was refused, with words for the technician.
    /// `device` and `point` by name; `text` is taken as the point's kind wants it (values.hpp).
    void write_local(const std::string& device, const std::string& point, const std::string& text,
                     std::function<void(std::string outcome, LocalEnd end)> handler);

    /// Takes a new configuration. What runs goes on; what waits is checked against it when it runs.
    /// A device that is gone keeps its lane; its commands are refused when their time comes.
    void update(const Config& config);

    /// Begins nothing any more: for the time between the stop signal and the end. What waits stays stored,
    /// and so does what still arrives.
    void stop();

    [[nodiscard]] RouterCounts counts() const;

private:
    class Core;
    std::unique_ptr<Core> core_;
};

} // namespace things
