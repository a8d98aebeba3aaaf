// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/explanation.hpp"
#include "delivery/upload_ports.hpp"

#include <cstdint>
#include <string>

// What is told of one device's uploads: counters, log lines that do not repeat, alarms and their ends. Part
// of a DeviceUpload; loop only. Nothing of it survives a restart.
namespace things {

class DeviceReport {
public:
    /// Both outlive this object.
    DeviceReport(UploadPorts& ports, const UploadDevice& device) : ports_(ports), device_(device) {}

    /// An answer came; before the device acts on it.
    void note_answer(const Answer& answer, const Verdict& verdict, const Explanation& words);
    void note_accepted(std::size_t readings, std::size_t bytes);
    void note_failure() { ++stats_.failures; }
    /// The device alone does not get through. Alarms after five minutes, or at once for a fault of this
    /// machine; again for another cause.
    void tell_retry(const Answer& answer, const Verdict& verdict, bool is_uplink_down);
    void end_failing(const std::string& text);
    /// `is_other_reason`: parked for another reason than before.
    void tell_parked(bool is_other_reason);
    void end_parked();
    void tell_search(const std::string& reason, std::size_t count);
    /// Dead letters are logged once a minute at most, with their number.
    void tell_dead(std::size_t count, const std::string& reason);
    /// The alarms stand under a name that is gone.
    void forget_alarms();

    [[nodiscard]] const DeviceUploads& stats() const { return stats_; }
    [[nodiscard]] const Explanation& last() const { return last_; }

private:
    void log_retry(const Answer& answer, const std::string& reason);

    UploadPorts& ports_;
    const UploadDevice& device_;
    DeviceUploads stats_;
    Explanation last_;                  ///< the answer to its last post
    std::string told_failure_;          ///< the cause that its alarm tells; empty: no alarm
    std::int64_t failing_since_ms_ = 0; ///< the first failure since a pack was accepted; 0: none
    bool is_park_told_ = false;         ///< the alarm is raised
    int logged_retry_ = 0;              ///< kind of the failure that was logged last
    std::int64_t logged_retry_ms_ = 0;
    std::int64_t logged_search_ms_ = 0; ///< 0: never
    std::int64_t logged_dead_ms_ = 0;   ///< 0: never
    std::size_t dead_unlogged_ = 0;
};

} // namespace things
