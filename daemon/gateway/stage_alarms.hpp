// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/upload_status.hpp"
#include "gateway/device_names.hpp"
#include "polling/sources.hpp"
#include "queue/queue.hpp"
#include "status/alarms.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace things {

class Clock;

/// Owns the one book of alarms and turns what each stage complains of into its lines: with a key that stays
/// the same from beginning to end, and a line of the log where the book does not write one. Loop only.
class StageAlarms {
public:
    /// `gateway`: its name, for the log. The references outlive this object.
    StageAlarms(std::string gateway, const Clock& clock, const DeviceNames& devices)
        : book_(std::move(gateway)), clock_(clock), devices_(devices) {}

    [[nodiscard]] const Alarms& book() const { return book_; }

    /// A source or device fails or works again: an alarm. A point: a line of the log.
    void on_event(const RunningSource& source, const SourceEvent& event);
    void on_upload_alarm(const UploadAlarm& alarm, bool is_over);
    /// All that the queue complains of at present; `clock_words` says why readings wait for their time.
    void set_queue(const std::vector<QueueAlarm>& raised, const std::function<std::string()>& clock_words);
    /// Ends those of devices whose dead letters were all retried or dropped.
    void end_dead(const std::vector<DeadLetter>& left,
                  const std::function<DeviceId(const std::string&)>& id_of);
    /// Until a reload succeeds: the next start would have nothing but the older configuration.
    void set_refusal(const std::string& refusal);
    /// Readings wait for a device that the configuration does not have.
    void set_unknown(const std::string& dvnuuid, std::uint64_t waiting);
    /// Raises what stands under `key`, or clears it if there is no problem.
    void set(const std::string& key, const std::string& problem, const std::string& advice, bool is_urgent);

    // What was configured has changed, and its alarms with it.
    void forget_unknown(const std::string& dvnuuid);
    void forget_device(const std::string& alarm_name);
    void forget_source(const std::string& source);

private:
    Alarms book_;
    const Clock& clock_;
    const DeviceNames& devices_;
    std::vector<std::string> queue_keys_; ///< of the queue's alarms that are raised
};

} // namespace things
