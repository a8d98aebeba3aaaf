// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/explanation.hpp"
#include "delivery/uplink.hpp"
#include "delivery/upload_ports.hpp"

#include <cstdint>
#include <map>
#include <string>

// What is told of the uplink as a whole: that the platform is out of reach, or that something else answers in
// its place. One alarm at a time, log lines that do not repeat. Owned by the uploader; loop only.
namespace things {

class UplinkReport {
public:
    explicit UplinkReport(UploadPorts& ports) : ports_(ports) {}
    /// After each answer that `uplink` took note of; `failures_before`: its failures before that.
    void on_answer(Uplink::Change change, const Uplink& uplink, std::uint64_t failures_before,
                   const Answer& answer, const Explanation& words);
    /// The last answer that kept the uplink down, and its status.
    [[nodiscard]] const Explanation& last() const { return last_; }
    [[nodiscard]] int last_status() const { return last_status_; }

private:
    void tell_recovered(const Uplink& uplink);
    void tell_trouble(Uplink::Change change, const Answer& answer, const std::string& text);
    /// A cause that comes and goes during one outage is logged now and then, not at each change.
    [[nodiscard]] bool is_news(const std::string& cause);

    UploadPorts& ports_;
    Explanation last_;
    int last_status_ = 0;
    std::map<std::string, std::int64_t> told_causes_;         ///< of this outage, and when they were logged
    bool is_down_told_ = false, is_misdirected_told_ = false; ///< alarms that are raised
};

} // namespace things
