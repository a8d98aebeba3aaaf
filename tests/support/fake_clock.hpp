// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "platform/clock.hpp"

#include <string>

namespace things {

/// A clock that a test sets. One thread.
class FakeClock : public Clock {
public:
    std::int64_t wall = 1'790'000'000'000;
    std::int64_t boot = 100'000;
    bool synchronised = true;
    std::string id = "11111111-2222-3333-4444-555555555555";

    void advance(std::int64_t ms) {
        wall += ms;
        boot += ms;
    }
    [[nodiscard]] std::int64_t wall_ms() const override { return wall; }
    [[nodiscard]] std::int64_t boot_ms() const override { return boot; }
    [[nodiscard]] bool is_synchronised() const override { return synchronised; }
    [[nodiscard]] std::string boot_id() const override { return id; }
};

} // namespace things
