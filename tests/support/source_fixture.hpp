// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/plugin_library.hpp"
#include "polling/source.hpp"

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

// What the tests of sources share: a listener that keeps what it hears, and work to be done.
namespace things::test {

/// Remembers everything; `wait` waits for a condition with a deadline.
class Ear final : public SourceListener {
public:
    void on_readings(std::vector<PointReading> readings) override;
    void on_event(SourceEvent event) override;

    [[nodiscard]] std::vector<PointReading> readings();
    [[nodiscard]] std::vector<SourceEvent> events();
    /// Readings of one point.
    [[nodiscard]] std::vector<PointReading> of(std::uint32_t point);
    [[nodiscard]] bool heard(const std::string& code);
    /// True as soon as `condition` is; it is asked whenever something was heard and every 10 ms.
    bool wait(const std::function<bool()>& condition, Milliseconds deadline = seconds(20));

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<PointReading> readings_;
    std::vector<SourceEvent> events_;
};

/// One device `d` with `count` points p0, p1 ... at `interval`.
SourceWork make_work(const std::string& plugin, std::uint32_t count, Milliseconds interval);
/// Waits for the answer of one read or write.
BusResult read_now(Source& source, std::uint32_t point, Milliseconds deadline = seconds(20));
BusResult write_now(Source& source, std::uint32_t point, Value value, Milliseconds deadline = seconds(20));

Setting make_setting(const std::string& key, Scalar value);
/// build/plugins/NAME.so and build/tests/bad_plugins/NAME.so
std::filesystem::path plugin_file(const std::string& name);
std::filesystem::path bad_plugin_file(const std::string& name);

/// A sanitizer turns a crash into an exit with a report, and needs more memory than any limit would allow.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool has_sanitizer = true;
#else
constexpr bool has_sanitizer = false;
#endif

/// Options with the tests' own host executable and short times: 500 ms for a call, 500 ms of grace.
SourceOptions quick_options();

} // namespace things::test
