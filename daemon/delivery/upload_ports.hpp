// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "delivery/packer.hpp"
#include "delivery/signer.hpp"
#include "delivery/upload_status.hpp"
#include "model/backlog.hpp"
#include "platform/clock.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

// What the devices of the uploader share: the queue, the clock, the configuration, whom to tell. The uploader
// owns the only instance, which its devices refer to. Loop only.
namespace things {

/// `secret` is used for every pack from the next one on; it is never shown.
struct UploadDevice {
    DeviceId id = 0;
    std::string name;
    std::string dvnuuid;
    Secret secret;
};

/// What the uploader calls, always on the loop. None may be empty.
struct UploadHooks {
    FindSeries find_series;
    /// A complete answer that accepts had a body. Its readings are settled right after this returns, so that
    /// a command that is stored here is never settled later than they are. Must not remove a device.
    std::function<void(DeviceId, const std::string& body)> on_answer;
    /// A 202 broke off or was too long. The pack is accepted, but a downlink in it is lost.
    std::function<void(DeviceId, const std::string& reason)> on_broken_answer;
    std::function<void(const UploadAlarm&)> on_alarm;
    std::function<void(const UploadAlarm&)> on_recovered;
    /// Whether the system clock can be right; a TLS failure is explained as a wrong clock when not.
    std::function<bool()> is_clock_plausible;
    /// Uniform in [0, 1).
    std::function<double()> random;
    /// A whole answer over verified TLS carried the platform's time. May be empty.
    std::function<void(std::int64_t date_ms, Milliseconds took)> on_date;
};

struct UploadPorts {
    UploadPorts(const Clock& the_clock, Backlog& the_backlog, ThingsConfig things_config,
                BatchConfig batch_config, UploadHooks the_hooks)
        : clock(the_clock), backlog(the_backlog), things(std::move(things_config)), batch(batch_config),
          hooks(std::move(the_hooks)), packer(hooks.find_series) {}

    const Clock& clock;
    Backlog& backlog;
    ThingsConfig things;
    BatchConfig batch;
    UploadHooks hooks;
    Packer packer;
    Signer signer;
    UploadTotals totals;
    std::string host;         ///< of things.url
    bool is_flushing = false; ///< shutdown has begun: only what is live, or may have arrived, is sent
};

} // namespace things
