// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "routing/bus.hpp"

#include <fmt/format.h>

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace things {

/// Devices that hold what was written to them. The transcript is what a test expects.
class FakeBus : public Bus {
public:
    struct Write {
        std::string device, point;
        Value value;
        std::int64_t not_after_boot_ms = 0;
    };
    std::map<std::string, Value> held;   ///< by "device/point"
    std::vector<std::string> transcript; ///< "write boiler/pump true", "read boiler/pump"
    std::vector<Write> writes;
    std::set<std::string> silent;          ///< devices that never answer
    std::set<std::string> broken;          ///< devices whose calls fail
    std::set<std::string> losing;          ///< devices that do what is written and whose answer is lost
    std::map<std::string, Value> reads_as; ///< a point that reads back something else, whatever is written
    std::map<std::string, Value> becomes;  ///< what the plugin says a write will read back, and holds
    int ignored_writes = 0;                ///< so many writes have no effect
    bool is_deferred = false;              ///< answers wait for `answer`
    std::function<Stamp()> now = [] {
        return Stamp{1'700'000'000'000, Stamp::Clock::wall};
    };
    std::function<void()> on_write; ///< after a write took effect: a place to crash

    static std::string words(const Value& value) {
        return std::visit(
            [](const auto& v) -> std::string {
                if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string>)
                    return "'" + v + "'";
                else
                    return fmt::format("{}", v);
            },
            value);
    }

    void write(const std::string& device, const std::string& point, Value value,
               std::int64_t not_after_boot_ms, std::function<void(BusResult)> handler) override {
        const auto key = device + "/" + point;
        transcript.push_back("write " + key + " " + words(value));
        writes.push_back({device, point, value, not_after_boot_ms});
        BusResult answer;
        if (broken.count(device) != 0)
            answer = no_answer(BusResult::Status::failed);
        if (const auto other = becomes.find(key); other != becomes.end())
            value = other->second;
        if (answer.is_ok() && ignored_writes > 0)
            --ignored_writes;
        else if (answer.is_ok())
            held[key] = value;
        if (losing.count(device) != 0)
            answer = no_answer(BusResult::Status::timeout);
        answer.value = value;
        if (on_write)
            on_write();
        reply(device, std::move(answer), std::move(handler));
    }

    void read(const std::string& device, const std::string& point,
              std::function<void(BusResult)> handler) override {
        const auto key = device + "/" + point;
        transcript.push_back("read " + key);
        BusResult answer;
        const auto found = held.find(key);
        if (broken.count(device) != 0 || found == held.end())
            answer = no_answer(BusResult::Status::failed);
        else
            answer.value = found->second;
        if (const auto other = reads_as.find(key); other != reads_as.end() && answer.is_ok())
            answer.value = other->second;
        answer.stamp = now();
        reply(device, std::move(answer), std::move(handler));
    }

    [[nodiscard]] std::optional<Value> last(const std::string& device,
                                            const std::string& point) const override {
        const auto found = held.find(device + "/" + point);
        return found == held.end() ? std::nullopt : std::optional(found->second);
    }

    void answer() {
        while (!posted_.empty()) {
            const auto call = std::move(posted_.front());
            posted_.pop_front();
            call();
        }
    }
    void forget_handlers() { posted_.clear(); }

private:
    static BusResult no_answer(BusResult::Status status) {
        BusResult answer;
        answer.status = status;
        answer.text = "no answer from unit 1 within 500 ms";
        return answer;
    }
    void reply(const std::string& device, BusResult answer, std::function<void(BusResult)> handler) {
        if (silent.count(device) != 0)
            return;
        if (!is_deferred) {
            handler(std::move(answer));
            return;
        }
        posted_.push_back([answer = std::move(answer), handler = std::move(handler)] { handler(answer); });
    }
    std::deque<std::function<void()>> posted_;
};

} // namespace things
