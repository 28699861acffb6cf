// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

#include "base/io.hpp"
#include "cli/text.hpp"
#include "debug/call_counters.hpp"
#include "debug/domain_id.hpp"
#include "debug/trace_buffers.hpp"
#include "debug/trace_text.hpp"
#include "hv/hypervisor.hpp"
#include "hv/privcmd.hpp"
#include "lib/abi.hpp"

// `streak trace`: what the hypervisor does for its guests, as it happens or out of a file of xentrace's; `streak top
// --hypercalls`: how often, and how long it takes.

namespace streak::cli {
namespace {

using debug::TraceEvent;
using debug::TraceRecord;
using Kind = TraceEvent::Kind;
using Clock = std::chrono::steady_clock;

constexpr auto uncounted = "hypercalls can't be counted";
constexpr std::uint32_t pages_of_a_ring = 64;
constexpr std::chrono::milliseconds between_looks{20};

volatile std::sig_atomic_t asked_to_end = 0;

constexpr std::uint32_t bit(Kind kind) { return 1u << static_cast<unsigned>(kind); }

/// What may be chosen, and which records (TRC_*) say it.
struct Sort {
    std::string_view name;
    std::uint32_t kinds, events;
};
constexpr Sort sorts[] = {{"hypercall", bit(Kind::call) | bit(Kind::call_end), TRC_PV},
                          {"trap", bit(Kind::trap) | bit(Kind::page_fault), TRC_PV},
                          {"sched", bit(Kind::switches) | bit(Kind::wakes) | bit(Kind::blocks), TRC_SCHED}};

struct Choice {
    std::uint32_t kinds = bit(Kind::loss);
    std::uint32_t events = TRC_SCHED; ///< switches are needed to know whose calls they are
    std::optional<std::uint32_t> domain{};

    [[nodiscard]] bool shows(const TraceEvent& e) const {
        const bool concerns = !domain || e.kind == Kind::loss || e.vcpu.domain == *domain || e.next.domain == *domain;
        return (kinds & bit(e.kind)) != 0 && concerns;
    }
};

/// Writes what records say to a file or to standard output.
class Output {
public:
    Output(bool json, Choice choice, std::uint64_t khz) : json_(json), choice_(choice), clock_{.khz = khz} {}

    Outcome<> open(const std::string& path) {
        file_ = base::Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        if (!file_) return base::errno_error("can't write " + printable(path), errno);
        return {};
    }
    /// Records in the order of time.
    void add(std::span<const TraceRecord> records) {
        if (!records.empty()) begin(records.front().tsc);
        for (const auto& record : records)
            if (const auto event = follower_.add(record)) show(*event);
        records_ += records.size();
        flush();
    }
    void end() {
        begin(0);
        if (json_) text_ += chrome_->end(follower_.lost());
        flush();
    }
    /// False once nobody takes it any more.
    [[nodiscard]] bool good() const { return good_; }
    [[nodiscard]] std::string summary() const {
        return std::to_string(records_) + " records, " + std::to_string(follower_.lost()) + " lost\n";
    }

private:
    void begin(std::uint64_t tsc) {
        if (chrome_) return;
        clock_.first = tsc;
        chrome_.emplace(clock_);
        if (json_) text_ += debug::ChromeTrace::begin();
    }
    void show(const TraceEvent& event) {
        if (choice_.shows(event)) text_ += json_ ? chrome_->add(event) : debug::event_line(event, clock_);
    }
    void flush() {
        good_ = good_ && base::write_all(file_ ? file_.get() : STDOUT_FILENO, text_);
        text_.clear();
    }

    bool json_, good_ = true;
    Choice choice_;
    debug::TraceClock clock_;
    debug::TraceFollower follower_;
    std::optional<debug::ChromeTrace> chrome_;
    base::Fd file_;
    std::string text_;
    std::uint64_t records_ = 0;
};

void handle_signals() {
    struct sigaction end{};
    end.sa_handler = [](int) { asked_to_end = 1; };
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &end, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

/// Writes those from before `until`: no CPU will tell of anything that happened earlier.
void write_until(Output& output, std::vector<TraceRecord>& records, std::uint64_t until) {
    std::ranges::stable_sort(records, {}, &TraceRecord::tsc);
    const auto end = std::ranges::lower_bound(records, until, {}, &TraceRecord::tsc);
    output.add({records.begin(), end});
    records.erase(records.begin(), end);
}

std::unexpected<base::Error> failed(std::string what, Errno code) {
    return base::hypercall_error(std::move(what), code);
}

Outcome<> record(hv::Port& port, Output& output, std::uint32_t events, std::optional<std::uint32_t> seconds) {
    handle_signals();
    auto buffers = debug::TraceBuffers::open(port, pages_of_a_ring);
    if (!buffers) return failed("trace buffers can't be had", buffers.error());
    const auto end = Clock::now() + std::chrono::seconds(seconds.value_or(0));
    if (const auto started = buffers->start(events); !started) return failed("tracing does not begin", started.error());
    std::vector<TraceRecord> records;
    while (asked_to_end == 0 && output.good() && (!seconds || Clock::now() < end)) {
        sleep_for(between_looks);
        const std::uint64_t now = __builtin_ia32_rdtsc();
        buffers->take(records);
        write_until(output, records, now);
    }
    buffers->stop();
    buffers->take(records);
    write_until(output, records, ~0ull);
    return {};
}

Outcome<> read_trace(Context& context, const std::string& path, Output& output) {
    const base::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return base::errno_error("can't read " + printable(path), errno);
    std::vector<std::byte> piece(1 << 20);
    std::vector<TraceRecord> records;
    debug::RecordReader reader;
    for (std::uint64_t at = 0;;) {
        const auto bytes = base::read_all_at(file.get(), piece, at);
        if (!bytes) return base::errno_error("can't read " + printable(path), errno);
        if (*bytes == 0) break;
        reader.read(std::span(piece).first(*bytes), records);
        at += *bytes;
    }
    if (reader.pending() != 0) context.note("the file ends within a record\n");
    write_until(output, records, ~0ull);
    return {};
}

Outcome<Choice> parse_choice(Context& context, const Options::Value& events, const Options::Value& domain) {
    Choice choice;
    for (auto rest = events ? std::string_view(*events) : "hypercall,trap,sched"; !rest.empty();) {
        const auto word = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(word.size() + 1, rest.size()));
        const auto* sort = std::ranges::find(sorts, word, &Sort::name);
        if (sort == std::end(sorts))
            return base::error(base::ErrorKind::usage, "no events are called '" + printable(word) + "'",
                               "hypercall, trap, sched");
        choice.kinds |= sort->kinds;
        choice.events |= sort->events;
    }
    if (domain) {
        TRY_ASSIGN(id, domain_id(context, *domain));
        choice.domain = id.raw();
    }
    return choice;
}

struct Wanted {
    const Options::Value &seconds, &domain, &events, &output, &input;
};

Outcome<> trace(Context& context, const Wanted& wanted) {
    std::optional<std::uint32_t> seconds;
    if (wanted.seconds) {
        TRY_ASSIGN(number, parse_number("number of seconds", *wanted.seconds, 1, 86'400));
        seconds = number;
    }
    TRY_ASSIGN(choice, parse_choice(context, wanted.events, wanted.domain));
    auto port = hv::Privcmd::open();
    if (!port && !wanted.input) return std::unexpected(port.error());
    std::uint64_t khz = 1'000'000; // of a file that is looked at elsewhere
    if (port)
        if (const auto host = hv::Hypervisor(**port).host_info(); host && host->cpu_khz != 0) khz = host->cpu_khz;
    Output output(context.json(), choice, khz);
    if (wanted.output) TRY(output.open(*wanted.output));
    TRY(wanted.input ? read_trace(context, *wanted.input, output) : record(**port, output, choice.events, seconds));
    output.end();
    context.note(output.summary());
    if (!output.good() && wanted.output) return base::errno_error("can't write " + printable(*wanted.output), errno);
    return {};
}

// ---- top --hypercalls ----

std::string rounded(double number, int digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%.*f", digits, number);
    return text;
}

Json to_json(const std::vector<debug::CallUse>& uses, double seconds) {
    Json list = Json::array();
    for (const auto& use : uses)
        list.push_back({{"name", debug::call_name(use.number)},
                        {"number", use.number},
                        {"calls", use.calls},
                        {"per_second", use.per_second},
                        {"share", use.share},
                        {"mean_ns", use.mean_ns},
                        {"p50_ns", use.p50_ns},
                        {"p99_ns", use.p99_ns}});
    return {{"schema", "streak.hypercalls/1"}, {"seconds", seconds}, {"hypercalls", list}};
}

std::string to_text(const std::vector<debug::CallUse>& uses) {
    Table table({"HYPERCALL", ">CALLS/S", ">CPU%", ">MEAN us", ">P50 us <", ">P99 us <"});
    for (const auto& use : uses)
        table.row({debug::call_name(use.number), rounded(use.per_second, 0), rounded(use.share * 100, 2),
                   rounded(use.mean_ns / 1000, 2), rounded(use.p50_ns / 1000, 2), rounded(use.p99_ns / 1000, 2)});
    return table.text();
}

} // namespace

Outcome<> top_hypercalls(Context& context, bool once, unsigned seconds) {
    TRY_ASSIGN(port, hv::Privcmd::open());
    const auto host = hv::Hypervisor(*port).host_info();
    auto before = debug::begin_counting(*port);
    if (!host || !before) return failed(uncounted, host ? before.error() : host.error());
    auto then = Clock::now();
    const bool clear = context.terminal() && !once;
    while (true) {
        // Counting ends when nobody asks for 10 s.
        for (unsigned second = 0; second < seconds; ++second) {
            sleep_for(std::chrono::seconds(1));
            if (second % 4 == 3) (void)debug::read_counters(*port);
        }
        const auto now = debug::read_counters(*port);
        if (!now) return failed(uncounted, now.error());
        const double passed = std::chrono::duration<double>(Clock::now() - then).count();
        const auto uses = debug::use_between(*before, *now, passed, host->cpu_khz, host->cpus);
        context.print(to_json(uses, passed), (clear ? "\033[H\033[J" : "") + to_text(uses));
        if (once) return {};
        if (!clear && !context.json()) context.print_text("\n");
        before = now;
        then = Clock::now();
    }
}

Action declare_trace(Options& options) {
    const auto& seconds = options.value("--seconds", "N", "for how long (until Ctrl-C)");
    const auto& domain = options.value("--domain", "DOMAIN", "only what concerns this domain");
    const auto& events = options.value("--events", "LIST", "of hypercall, trap, sched (all)");
    const auto& output = options.value("--output", "FILE", "write there");
    const auto& input = options.value("--input", "FILE", "what xentrace wrote, instead of what happens now");
    return
        [wanted = Wanted{seconds, domain, events, output, input}](Context& context) { return trace(context, wanted); };
}

} // namespace streak::cli
