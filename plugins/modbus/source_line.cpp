// SPDX-License-Identifier: Apache-2.0
#include "modbus/source_line.hpp"

#include <algorithm>
#include <thread>

namespace things {

namespace {

constexpr int most_reopenings = 2;

} // namespace

SourceLine::SourceLine(const PluginHost& host, const LinkSettings& settings, UnitStates& units)
    : host_(host), settings_(settings), units_(units), bus_(settings, &host) {}

void SourceLine::begin(std::int64_t deadline_ms) {
    deadline_ms_ = deadline_ms;
    interrupted_ = failed_ = false;
    reopenings_ = has_worked_ ? most_reopenings : 1;
}

bool SourceLine::open() {
    if (!await_reopening())
        return false;
    if (const auto trouble = bus_.open()) {
        interrupted_ = trouble->is_interruption;
        if (!interrupted_)
            report(*trouble);
        return false;
    }
    if (bus_.connection().take_reopened())
        units_.wake();
    return true;
}

void SourceLine::report(const LinkTrouble& trouble) {
    code_ = trouble.code;
    failed_ = true;
    has_worked_ = false;
    host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, trouble.code, trouble.text);
}

BusTiming SourceLine::timing_of(const UnitSettings& unit, int silent_retries) const {
    const auto left = std::chrono::milliseconds(std::max<std::int64_t>(deadline_ms_ - monotonic_ms(), 0));
    return {unit.timeout, unit.pause,
            unit.retries, std::min(unit.retries, silent_retries),
            unit.timeout, std::chrono::steady_clock::now() + left};
}

// A server that accepts and closes at once is not stormed: the bus makes the pauses between connections grow,
// and only a short one is waited for here. False: the call is over.
bool SourceLine::await_reopening() {
    constexpr std::chrono::milliseconds most_waited{1000}, slice{20};
    if (settings_.serial || bus_.is_open() ||
        bus_.connection().next_open() - std::chrono::steady_clock::now() > most_waited)
        return true;
    while (std::chrono::steady_clock::now() < bus_.connection().next_open()) {
        if (is_over()) {
            interrupted_ = true;
            return false;
        }
        std::this_thread::sleep_for(slice);
    }
    return true;
}

bool SourceLine::reopen() {
    return reopenings_-- > 0 && open();
}

// Sends one request, and a read once more if the connection broke: many devices close it when it was idle, or
// after each answer. A write that may have arrived is not sent again. One that was closed before anything was
// answered was closed for this request, perhaps.
Exchange SourceLine::ask(const BusRequest& request, const BusTiming& timing) {
    Exchange result = bus_.exchange(request, timing);
    if (result.status == Exchange::Status::lost) {
        const bool was_idle = bus_.connection().has_answered();
        bool is_open = (was_idle || has_worked_) && reopen();
        if (is_open && ((was_idle && !writes(request)) || !result.was_sent)) {
            result = bus_.exchange(request, timing);
            if (result.status == Exchange::Status::lost)
                is_open = reopen();
        }
        if (result.status == Exchange::Status::lost) {
            if (!is_open && !failed_ && !interrupted_)
                report(bus_.connection().trouble());
            if (!is_open)
                return result;
            result.status = Exchange::Status::damaged;
            result.misfit.kind = Misfit::Kind::closed;
            result.attempts = 1;
            return result;
        }
    }
    if (const auto note = bus_.connection().take_note())
        host_.report(THINGS_NOTE, THINGS_SOURCE, 0, note->code, note->text);
    const bool answered =
        result.status == Exchange::Status::answered || result.status == Exchange::Status::exception;
    silent_in_a_row_ = answered ? 0 : silent_in_a_row_ + 1;
    if (answered)
        on_answer();
    // A connection that is half open swallows everything: after some silence a new one is worth a try.
    constexpr int most_silent = 2;
    if (!settings_.serial && silent_in_a_row_ >= most_silent) {
        silent_in_a_row_ = 0;
        bus_.close();
        if (!open())
            result.status = Exchange::Status::lost;
    }
    return result;
}

void SourceLine::on_answer() {
    reopenings_ = most_reopenings;
    has_worked_ = true;
    if (!code_)
        return;
    host_.report(THINGS_RECOVERED, THINGS_SOURCE, 0, code_, settings_.text() + " works again.");
    code_ = nullptr;
}

} // namespace things
