// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/driver.hpp"

#include <string>
#include <vector>

namespace things {

/// For calls of a driver outside a source: keeps what was said, up to a limit, and never interrupts. The
/// thread that calls the driver.
/// For `check`, `things-plugin-test`, and reading a bus by hand: whoever called looks at the public members
/// afterwards. At most 100,000 of each kind are kept.
class KeepingSink final : public DriverSink {
public:
    /// Throws std::system_error if there is no descriptor left.
    KeepingSink();
    ~KeepingSink() override;
    KeepingSink(const KeepingSink&) = delete;
    KeepingSink& operator=(const KeepingSink&) = delete;

    void on_readings(std::vector<RawReading> more) override;
    void on_garbage(std::uint64_t count, const std::string& why) override;
    void on_event(SourceEvent event) override;
    void on_problem(SettingProblem problem) override;
    void on_found(std::string json) override;
    void on_progress(double /*part*/) override {}
    [[nodiscard]] bool is_interrupted() const override { return interrupted_; }
    [[nodiscard]] bool is_stopping() const override { return false; }
    [[nodiscard]] int wake_fd() const override { return wake_fd_; }

    /// Makes the next call see an interruption, or not.
    void interrupt(bool on);
    /// Empties all of them, before the next call.
    void forget();

    std::vector<RawReading> readings;
    std::vector<SourceEvent> events;
    std::vector<SettingProblem> problems;
    std::vector<std::string> found;
    std::uint64_t garbage = 0;
    std::string garbage_why;

private:
    int wake_fd_;
    bool interrupted_ = false;
};

} // namespace things
