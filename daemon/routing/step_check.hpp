// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "routing/command_run.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// The largest steps of a whole downlink, measured before its first write: one that is refused refuses all,
// and half a downlink written is what `atomic` is there to avoid. Reads only. Loop only.
namespace things {

/// Owned by its lane; pending reads hold it weakly, which is why it is shared.
class StepCheck : public std::enable_shared_from_this<StepCheck> {
public:
    /// Both are copies: a reload may change the point meanwhile.
    struct Item {
        Command command;
        PointConfig point;
    };
    /// `on_end` gets the first refused command and the reason, or a null command when all steps fit. A point
    /// that is written twice is measured from the value planned before.
    using Handler = std::function<void(const Command*, std::string)>;
    StepCheck(RunPorts& ports, std::vector<Item> items, Handler on_end);
    /// Once. Reads one point after the other; a read that does not come back within bus_patience refuses.
    void begin();

private:
    void check_next();
    /// `number` tells an answer that came after its patience.
    void on_read(std::size_t number, const BusResult& answer);

    RunPorts& ports_;
    std::vector<Item> items_;
    Handler on_end_;
    std::size_t at_ = 0;
    std::vector<std::pair<std::string, Value>> planned_;
};

} // namespace things
