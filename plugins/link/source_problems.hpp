// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "things_plugin.hpp"

#include <string>
#include <vector>

namespace things {

/// What is wrong with a source where several things may be at once. The host keeps one state a source: the
/// last problem told, which a recovery ends whatever its code. So when one of several is over the host is
/// told of another that is not, and only the end of the last one is a recovery. On the source's thread.
class SourceProblems {
public:
    explicit SourceProblems(PluginHost host) : host_(host) {}
    /// Told even if it is known already: the host counts repetitions.
    void begin(const std::string& code, const std::string& text);
    /// Nothing if it had not begun.
    void end(const std::string& code, const std::string& text);

private:
    struct Problem {
        std::string code, text;
    };
    PluginHost host_;
    std::vector<Problem> open_; ///< each code once; the last one is what the host shows
};

} // namespace things
