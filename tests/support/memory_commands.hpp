// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/command.hpp"

#include <deque>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace things {

/// The contract of CommandStore in memory. Survives the "daemon" of a test, which is what makes crashes
/// testable: what reached `commands` is durable, handlers that were not called yet are lost with the process.
class MemoryCommands : public CommandStore {
public:
    std::map<std::uint64_t, Command> commands;
    bool is_deferred = false;       ///< handlers wait for `answer`
    bool is_flash_good = true;      ///< false: handlers get false
    std::function<void()> on_write; ///< called after each durable change: a place to crash

    void store(std::vector<Command> added, std::function<void(std::vector<Command>, bool)> handler) override {
        for (auto& command : added) {
            command.id = ++last_id_;
            commands[command.id] = command;
        }
        changed();
        post([added = std::move(added), handler = std::move(handler), good = is_flash_good] {
            handler(added, good);
        });
    }

    void update(const Command& command, std::function<void(bool)> handler) override {
        if (commands.count(command.id) == 0)
            throw std::logic_error("update of a command that was never stored");
        commands[command.id] = command;
        changed();
        post([handler = std::move(handler), good = is_flash_good] { handler(good); });
    }

    [[nodiscard]] std::vector<Command> unfinished() override {
        std::vector<Command> found;
        for (const auto& [id, command] : commands)
            if (!is_ended(command.state))
                found.push_back(command);
        return found;
    }

    [[nodiscard]] std::vector<Command> recent(const std::string& dvnuuid, std::size_t most) override {
        std::vector<Command> found;
        for (auto i = commands.rbegin(); i != commands.rend() && found.size() < most; ++i)
            if (i->second.dvnuuid == dvnuuid && i->second.origin == platform_origin &&
                is_ended(i->second.state))
                found.push_back(i->second);
        return found;
    }

    [[nodiscard]] std::vector<Command> audit(const std::string& device, std::size_t most) override {
        std::vector<Command> found;
        for (auto i = commands.rbegin(); i != commands.rend() && found.size() < most; ++i)
            if (device.empty() || i->second.device == device)
                found.push_back(i->second);
        return found;
    }

    /// Calls the handlers that wait, and those that these add.
    void answer() {
        while (!posted_.empty()) {
            const auto call = std::move(posted_.front());
            posted_.pop_front();
            call();
        }
    }
    void forget_handlers() { posted_.clear(); }

private:
    void changed() const {
        if (on_write)
            on_write();
    }
    void post(std::function<void()> call) {
        if (is_deferred)
            posted_.push_back(std::move(call));
        else
            call();
    }

    std::deque<std::function<void()>> posted_;
    std::uint64_t last_id_ = 0;
};

} // namespace things
