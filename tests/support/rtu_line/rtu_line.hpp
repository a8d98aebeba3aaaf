// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/modbus_units.hpp"

#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

// A serial line with Modbus units behind it: one end of a pty pair, served by a thread that keeps the time
// that the bytes would need on the wire. A request takes its characters, the silence after it and the
// turnaround of the unit; the answer comes character by character.
namespace things {

class RtuLine {
public:
    struct Timing {
        double character_us = 0; ///< 0: as fast as it goes
        double silence_us = 0;
        double turnaround_us = 0;
        /// With `bits` a character; the silence is 3.5 of them, at most 1.75 ms above 19200 baud.
        static Timing of(unsigned baud, unsigned bits, double turnaround_us);
    };
    RtuLine() : RtuLine(Timing{}) {}
    explicit RtuLine(Timing timing);
    ~RtuLine();
    RtuLine(const RtuLine&) = delete;
    RtuLine& operator=(const RtuLine&) = delete;

    ModbusUnits units; ///< unit 1 is there from the start
    /// What to open on the other side. It is a link, so that the adapter can be pulled and put back.
    [[nodiscard]] const std::string& path() const { return link_; }
    /// The adapter is pulled out: the port reports an error and its name is gone.
    void pull();
    void put_back();
    /// Noise on the line, at once.
    void send_noise(const std::vector<std::uint8_t>& bytes);
    /// Requests that began before the line was silent for 3.5 characters behind an answer. (When a request
    /// really ended is not known: a busy machine may show two at once, one of which came long ago.)
    [[nodiscard]] int silence_violations() const { return violations_; }

private:
    using Clock = std::chrono::steady_clock;
    struct Outgoing {
        Clock::time_point due;
        std::vector<std::uint8_t> bytes;
    };
    void open_pair();
    void run();
    void serve(Clock::time_point arrived);
    void send_due();
    void stop();

    Timing timing_;
    std::string folder_, link_;
    int master_ = -1, slave_ = -1, wake_[2] = {-1, -1};
    std::vector<std::uint8_t> received_;
    std::vector<Outgoing> outgoing_;
    Clock::time_point quiet_since_{}, wire_free_{};
    std::map<std::uint8_t, Clock::time_point> busy_until_;
    std::atomic<int> violations_{0};
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

} // namespace things
