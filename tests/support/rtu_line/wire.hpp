// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <thread>

// A wire between two programs that both believe to have a serial port: each byte takes the time of a
// character. It also tells how long the far side took to answer, which is the part of a cycle that the near
// side cannot help.
namespace things {

class Wire {
public:
    explicit Wire(double character_us);
    ~Wire();
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;
    [[nodiscard]] const std::string& near_path() const { return near_.path; }
    [[nodiscard]] const std::string& far_path() const { return far_.path; }
    /// Microseconds from the last byte that reached the far side to its first one, all together; and how
    /// often.
    [[nodiscard]] double turnaround_us() const { return turnaround_us_; }
    [[nodiscard]] std::uint64_t turns() const { return turns_; }

private:
    using Clock = std::chrono::steady_clock;
    struct Byte {
        Clock::time_point due;
        std::uint8_t value;
    };
    struct End {
        int master = -1, slave = -1;
        std::string path{};
        std::deque<Byte> coming{}; ///< to this end
        Clock::time_point free{};
    };
    static void open(End& end);
    void run();
    void take(End& from, End& to);
    static bool give(End& end, Clock::time_point now);

    std::chrono::nanoseconds character_;
    End near_, far_;
    Clock::time_point asked_{};
    bool is_waiting_ = false;
    std::atomic<std::uint64_t> turns_{0};
    std::atomic<double> turnaround_us_{0}; ///< of all turns together
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

} // namespace things
