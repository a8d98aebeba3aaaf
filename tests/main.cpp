// SPDX-License-Identifier: Apache-2.0
#define DOCTEST_CONFIG_IMPLEMENT
#include "support/skip.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <string>

#include <csignal>
#include <unistd.h>

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr unsigned most_seconds = 870; // ctest waits for 900
#else
constexpr unsigned most_seconds = 300;
#endif

char words[512] = ""; // what is said when the present case does not end

void give_up(int) {
    static_cast<void>(!::write(STDERR_FILENO, words, std::char_traits<char>::length(words)));
    ::_exit(1);
}

// A case that waits for ever, or for a thread that does, ends the program, and is told by its name.
class Deadline final : public doctest::IReporter {
public:
    explicit Deadline(const doctest::ContextOptions&) {}
    void test_case_start(const doctest::TestCaseData& test) override {
        std::snprintf(words, sizeof words, "%s:%u: FAILED: after %u s still not at its end: %s\n",
                      test.m_file.c_str(), test.m_line, most_seconds, test.m_name);
        std::signal(SIGALRM, give_up);
        ::alarm(most_seconds);
    }
    void test_case_end(const doctest::CurrentTestCaseStats&) override { ::alarm(0); }

    void report_query(const doctest::QueryData&) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats&) override {}
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_exception(const doctest::TestCaseException&) override {}
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData&) override {}
    void log_message(const doctest::MessageData&) override {}
    void test_case_skipped(const doctest::TestCaseData&) override {}
};

} // namespace

REGISTER_LISTENER("deadline", 1, Deadline);

namespace things::test {

void skipped(const std::string& why) {
    std::printf("skipped: %s: %s\n", doctest::getContextOptions()->currentTest->m_name, why.c_str());
    std::fflush(stdout);
}

} // namespace things::test

int main(int argc, char** argv) {
    // A test that does not say what its plugin hosts are starts itself as one, and that one the next.
    if (argc > 1 && std::string(argv[1]) == "plugin-host")
        return 64;
    return doctest::Context(argc, argv).run();
}
