// SPDX-License-Identifier: Apache-2.0
#include "routing/step_check.hpp"

#include "routing/command_check.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace things {

StepCheck::StepCheck(RunPorts& ports, std::vector<Item> items, Handler on_end)
    : ports_(ports), items_(std::move(items)), on_end_(std::move(on_end)) {}

void StepCheck::begin() {
    check_next();
}

void StepCheck::check_next() {
    if (at_ == items_.size()) {
        on_end_(nullptr, {});
        return;
    }
    const auto& item = items_[at_];
    const auto planned = std::find_if(planned_.rbegin(), planned_.rend(),
                                      [&item](const auto& p) { return p.first == item.command.point; });
    if (planned != planned_.rend()) {
        BusResult answer;
        answer.value = planned->second;
        on_read(at_, answer);
        return;
    }
    auto handler = [weak = weak_from_this(), number = at_](const BusResult& answer) {
        if (const auto check = weak.lock())
            check->on_read(number, answer);
    };
    ports_.after(bus_patience, [handler] {
        BusResult silence;
        silence.status = BusResult::Status::timeout;
        silence.text = fmt::format("no answer within {} s", bus_patience.count() / 1000);
        handler(silence);
    });
    ports_.bus.read(item.command.device, item.command.point, handler);
}

void StepCheck::on_read(std::size_t number, const BusResult& answer) {
    if (number != at_)
        return;
    const auto& item = items_[at_++];
    const auto reason = answer.is_ok()
                            ? check_step(item.point, answer.value, item.command.value)
                            : "its present value, which limits the step, cannot be read: " + answer.text;
    if (!reason.empty()) {
        at_ = items_.size() + 1; // an answer that comes later finds no step
        const auto refused = item.command;
        on_end_(&refused, reason);
        return;
    }
    planned_.emplace_back(item.command.point, item.command.value);
    check_next();
}

} // namespace things
