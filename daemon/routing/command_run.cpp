// SPDX-License-Identifier: Apache-2.0
#include "routing/command_run.hpp"

#include "routing/command_check.hpp"
#include "routing/command_time.hpp"
#include "routing/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace things {

namespace {

// After a power cut the device starts as we do, and often slower.
constexpr int verify_most = 5;
constexpr Milliseconds verify_pause = seconds(5);
// A connection that the device closed in place of an answer comes back within seconds.
constexpr Milliseconds lost_pause = seconds(1), lost_time = seconds(10);

} // namespace

CommandRun::CommandRun(RunPorts& ports, Command command, PointConfig point,
                       std::function<void(RunEnd)> on_end)
    : ports_(ports), command_(std::move(command)), point_(std::move(point)), on_end_(std::move(on_end)) {}

/// The handler of a bus call: the answer to this very step, or the words of impatience.
std::function<void(BusResult)> CommandRun::next(Step step) {
    // An answer that comes after its patience, or twice, is one to a step that is over.
    const auto number = ++step_;
    auto handler = [weak = weak_from_this(), number, step](BusResult answer) {
        const auto run = weak.lock();
        if (!run || run->step_ != number || (!answer.is_ok() && run->was_begun_ && run->ports_.is_stopping))
            return;
        ++run->step_;
        (run.get()->*step)(std::move(answer));
    };
    ports_.after(bus_patience, [handler] {
        BusResult silence;
        silence.status = BusResult::Status::timeout;
        silence.text = fmt::format("no answer within {} s", bus_patience.count() / 1000);
        handler(std::move(silence));
    });
    return handler;
}

void CommandRun::begin() {
    if (point_.writable->max_step && !is_revert(command_)) {
        ports_.bus.read(command_.device, command_.point, next(&CommandRun::on_present));
        return;
    }
    command_.before = ports_.bus.last(command_.device, command_.point);
    mark_begun();
}

void CommandRun::on_present(BusResult answer) {
    was_silent_ = !answer.is_ok();
    if (!answer.is_ok()) {
        end(CommandState::refused,
            fmt::format("not written: its present value, which limits the step, cannot be read: {}",
                        answer.text));
        return;
    }
    command_.before = answer.value;
    if (const auto reason = check_step(point_, answer.value, command_.value); !reason.empty())
        end(CommandState::refused, "refused: " + reason);
    else
        mark_begun();
}

void CommandRun::mark_begun() {
    if (is_over() || command_.state == CommandState::begun) {
        on_begun(true); // nothing to store
        return;
    }
    command_.state = CommandState::begun;
    ports_.store.update(command_, [weak = weak_from_this()](bool stored) {
        if (const auto run = weak.lock())
            run->on_begun(stored);
    });
}

void CommandRun::on_begun(bool /*stored*/) {
    // Flash that refuses raises the store's alarm; the write goes on, or a worn card would lock the plant.
    if (is_over())
        end(CommandState::expired, "expired before it could begin");
    else
        write();
}

void CommandRun::write() {
    was_begun_ = true;
    const auto now = ports_.clock.boot_ms();
    const auto time = command_time(command_, ports_.clock, ports_.is_clock_trusted());
    const auto not_after = now + std::min<std::int64_t>(time.in_ms, bus_patience.count());
    ports_.bus.write(command_.device, command_.point, command_.value, not_after,
                     next(&CommandRun::on_written));
}

void CommandRun::on_written(BusResult answer) {
    // Even a failed write is read back: an answer that got lost is the commonest failure on a bus.
    // The device may hold less than was asked (rounding): compare with what the plugin says it wrote.
    write_error_ = answer.is_ok() ? std::string() : answer.text;
    was_lost_ = answer.status == BusResult::Status::timeout; // nobody knows whether it was done
    read_until_boot_ms_ = ports_.clock.boot_ms() + (point_.writable->settle + lost_time).count();
    expected_ = answer.is_ok() ? std::move(answer.value) : command_.value;
    if (!is_read_back()) {
        on_acknowledged();
        return;
    }
    const auto settle = point_.writable->settle;
    if (settle.count() <= 0) {
        read_back();
        return;
    }
    ports_.after(settle, [weak = weak_from_this()] {
        if (const auto run = weak.lock())
            run->read_back();
    });
}

bool CommandRun::is_read_back() const {
    return !point_.write_only && !point_.writable->momentary;
}

void CommandRun::on_acknowledged() {
    if (was_lost_ && point_.writable->retry && !was_retried_ && !is_over()) {
        was_retried_ = true;
        write();
        return;
    }
    was_silent_ = was_lost_;
    const auto asked = words(command_.value);
    if (was_lost_)
        end(CommandState::failed,
            fmt::format("the answer to writing {} was lost{}: {}; whether it was done is not known, and {}",
                        asked, was_retried_ ? " twice" : "", write_error_,
                        was_retried_ ? "it is not tried again" : "it is not repeated"));
    else if (!write_error_.empty())
        end(CommandState::failed, fmt::format("writing {} failed: {}", asked, write_error_));
    else
        end(CommandState::done, fmt::format("{} written and acknowledged, not read back", asked));
}

void CommandRun::read_back() {
    ports_.bus.read(command_.device, command_.point, next(&CommandRun::on_read_back));
}

void CommandRun::on_read_back(BusResult answer) {
    was_silent_ = !answer.is_ok();
    if (!answer.is_ok() && was_lost_ && ports_.clock.boot_ms() < read_until_boot_ms_) {
        ports_.after(lost_pause, [weak = weak_from_this()] {
            if (const auto run = weak.lock())
                run->read_back();
        });
        return;
    }
    if (!answer.is_ok()) {
        const auto asked = words(command_.value);
        end(CommandState::failed,
            write_error_.empty()
                ? fmt::format("{} was written, but it cannot be read back: {}", asked, answer.text)
            : was_lost_
                ? fmt::format(
                      "the answer to writing {} was lost: {}; it cannot be read back either, so whether "
                      "it was done is not known; it is not repeated",
                      asked, write_error_)
                : fmt::format("writing {} failed: {}; it cannot be read back either", asked, write_error_));
        return;
    }
    read_at_ = answer.stamp;
    command_.after = answer.value;
    if (!is_same(point_, expected_, answer.value)) {
        on_mismatch();
        return;
    }
    auto verdict = fmt::format("{} written and read back", words(answer.value));
    if (was_lost_)
        verdict = fmt::format("the answer was lost; read back {}: done", words(answer.value));
    else if (!write_error_.empty())
        verdict = fmt::format("reads {} as asked, although the write failed: {}", words(answer.value),
                              write_error_);
    if (command_.before)
        verdict += fmt::format(", was {}", words(*command_.before));
    end(CommandState::done, std::move(verdict));
}

void CommandRun::on_mismatch() {
    if (point_.writable->retry && !was_retried_ && !is_over()) {
        was_retried_ = true;
        write();
        return;
    }
    const auto found = words(*command_.after);
    if (was_lost_)
        end(CommandState::failed,
            fmt::format("the answer was lost; read back {} and not {}, not repeated{}; {}", found,
                        words(command_.value), was_retried_ ? " again" : "", write_error_));
    else if (!write_error_.empty())
        end(CommandState::failed,
            fmt::format("writing {} failed: {}; it reads {}", words(command_.value), write_error_, found));
    else
        end(CommandState::failed, fmt::format("{} was written{}, but it reads back {}", words(expected_),
                                              was_retried_ ? " twice" : "", found));
}

void CommandRun::verify() {
    was_begun_ = true;
    if (!is_read_back()) {
        end(CommandState::failed,
            fmt::format(
                "the gateway went down while {} was written; whether it was done is not known, and it "
                "is not repeated",
                words(command_.value)));
        return;
    }
    ++verify_tries_;
    ports_.bus.read(command_.device, command_.point, next(&CommandRun::on_verified));
}

void CommandRun::on_verified(BusResult answer) {
    const auto asked = words(command_.value);
    if (answer.is_ok()) {
        read_at_ = answer.stamp;
        command_.after = answer.value;
        if (is_same(point_, command_.value, answer.value))
            end(CommandState::done, fmt::format("{} read back after the gateway was restarted", asked));
        else
            end(CommandState::failed,
                fmt::format("the gateway went down while {} was written; it reads {} and is not repeated",
                            asked, words(answer.value)));
        return;
    }
    if (verify_tries_ < verify_most) {
        ports_.after(verify_pause, [weak = weak_from_this()] {
            if (const auto run = weak.lock())
                run->verify();
        });
        return;
    }
    end(CommandState::failed,
        fmt::format(
            "the gateway went down while {} was written; it cannot be read back ({}) and is not repeated",
            asked, answer.text));
}

void CommandRun::read_only() {
    if (point_.write_only) {
        end(command_.state, command_.verdict);
        return;
    }
    ports_.bus.read(command_.device, command_.point, next(&CommandRun::on_read_only));
}

void CommandRun::on_read_only(BusResult answer) {
    if (answer.is_ok()) {
        read_at_ = answer.stamp;
        command_.after = std::move(answer.value);
    }
    end(command_.state, command_.verdict);
}

void CommandRun::end(CommandState state, std::string verdict) {
    ++step_;
    command_.state = state;
    command_.verdict = std::move(verdict);
    command_.ended_wall_ms = ports_.clock.wall_ms();
    // The lane may destroy this run in the handler.
    const auto handler = std::exchange(on_end_, nullptr);
    if (handler)
        handler(RunEnd{command_, read_at_, was_begun_, was_silent_});
}

bool CommandRun::is_over() const {
    return command_time(command_, ports_.clock, ports_.is_clock_trusted()).state == CommandTime::State::over;
}

std::string CommandRun::words(const Value& value) const {
    return in_words(point_, value);
}

} // namespace things
