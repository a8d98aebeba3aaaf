// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/modbus_bus.hpp"
#include "modbus/unit_states.hpp"
#include "things_plugin.hpp"

#include <cstdint>

// The link of a source during a call of the host: opened when it is needed, opened again as often as requests
// succeed, with the deadline of the call and the reason why it must end. Owned by the source, used on its
// thread.
namespace things {

class SourceLine {
public:
    SourceLine(const PluginHost& host, const LinkSettings& settings, UnitStates& units);

    /// At the beginning of a call.
    void begin(std::int64_t deadline_ms);
    /// False: the call must end, status() says how.
    [[nodiscard]] bool open();
    [[nodiscard]] bool is_over() const { return is_interrupted_now() || monotonic_ms() >= deadline_ms_; }
    [[nodiscard]] bool is_interrupted_now() const { return host_.interrupted(); }
    [[nodiscard]] std::int64_t deadline_ms() const { return deadline_ms_; }
    /// What is left of the call is due again.
    void interrupt() { interrupted_ = true; }
    [[nodiscard]] bool has_failed() const { return failed_; }
    /// Of a call that came to its end.
    [[nodiscard]] int status() const {
        return failed_ ? THINGS_FAILED : interrupted_ ? THINGS_INTERRUPTED : THINGS_OK;
    }
    /// Of one that cannot go on.
    [[nodiscard]] int why_over() const { return failed_ ? THINGS_FAILED : THINGS_INTERRUPTED; }

    [[nodiscard]] BusTiming timing_of(const UnitSettings& unit, int silent_retries) const;
    /// `lost`: the call must end.
    [[nodiscard]] Exchange ask(const BusRequest& request, const BusTiming& timing);
    [[nodiscard]] ModbusBus& bus() { return bus_; }
    [[nodiscard]] const ModbusBus& bus() const { return bus_; }

private:
    /// After a loss.
    [[nodiscard]] bool reopen();
    [[nodiscard]] bool await_reopening();
    void report(const LinkTrouble& trouble);
    void on_answer();

    const PluginHost& host_;
    const LinkSettings& settings_;
    UnitStates& units_;
    ModbusBus bus_;
    const char* code_ = nullptr; ///< the problem that the link has
    bool has_worked_ = false;    ///< something was answered since it had one
    int silent_in_a_row_ = 0;

    // of the call that runs
    std::int64_t deadline_ms_ = 0;
    bool interrupted_ = false;
    bool failed_ = false;
    int reopenings_ = 0; ///< that may still be tried; an answer gives new ones
};

} // namespace things
