// What is left of a text whose constants decide its branches and loops.
#include "kernels/fold_control_flow.h"

#include <gtest/gtest.h>

namespace pronk::kernels {
namespace {

std::string folded(std::string_view body) {
  const std::string constants =
      "\nconst SIX = 6u;\nconst ON = true;\nconst OFF = !ON;\nconst HALF: u32 = max(SIX / 2u, 1u);\nconst FLOAT = "
      "1.5;\n";
  const std::string text = fold_control_flow(constants + std::string(body));
  EXPECT_TRUE(text.starts_with(constants));
  return text.substr(constants.size());
}

TEST(FoldControlFlow, DeadOnesAreLeftOut) {
  EXPECT_EQ(folded("if (OFF) {\na();\n}\nb();"), "{}\nb();");
  EXPECT_EQ(folded("if (ON) {\na();\n}\nb();"), "{\na();\n}\nb();");
  EXPECT_EQ(folded("if (HALF == 3u && SIX % 4u <= 2u) {\na();\n} else {\nb();\n}"), "{\na();\n}");
  EXPECT_EQ(folded("if (select(1u, 2u, ON) > 2u) {\na();\n} else {\nb();\n}"), "{\nb();\n}");
}

TEST(FoldControlFlow, UnknownOnesStay) {
  for (const char* text :
       {"if (x) {\na();\n}", "if (FLOAT == 1.5) {\na();\n}", "if (ON && vec2<bool>(ON).x) {\na();\n}",
        "if (SIX - 7u > 0u) {\na();\n}", "if (SIX / 0u == 0u) {\na();\n}", "if (SIX << 1u == 12u) {\na();\n}"})
    EXPECT_EQ(folded(text), text);
  EXPECT_EQ(folded("if (OFF && x[i].y + f(1.0, -z) == 2) {\na();\n}"), "{}");
  EXPECT_EQ(folded("if (x || ON) {\na();\n}"), "{\na();\n}");
  EXPECT_EQ(folded("if (x) {\nif (OFF) {\na();\n}\n}"), "if (x) {\n{}\n}");
}

TEST(FoldControlFlow, Chains) {
  EXPECT_EQ(folded("if (OFF) {\na();\n} else if (x) {\nb();\n} else {\nc();\n}"), "if (x) {\nb();\n} else {\nc();\n}");
  EXPECT_EQ(folded("if (x) {\na();\n} else if (ON) {\nb();\n} else {\nc();\n}\nd();"),
            "if (x) {\na();\n} else {\nb();\n}\nd();");
  EXPECT_EQ(folded("if (x) {\na();\n} else if (OFF) {\nb();\n}"), "if (x) {\na();\n} else {}");
  EXPECT_EQ(folded("if (ON) {\na();\n} else if (x) {\nb();\n} else {\nc();\n}\nd();"), "{\na();\n}\nd();");
}

// Compilers refuse it.
TEST(FoldControlFlow, NothingFollowsWhatLeavesABlock) {
  EXPECT_EQ(folded("fn f() -> u32 {\nif (ON) {\nreturn 1u;\n}\na();\nreturn 2u;\n}\nfn g() {}"),
            "fn f() -> u32 {\n{\nreturn 1u;\n}}\nfn g() {}");
  EXPECT_EQ(folded("fn f() -> u32 {\nif (ON) {\nif (ON) {\nreturn 1u;\n}\na();\n}\nreturn 2u;\n}\nfn g() {}"),
            "fn f() -> u32 {\n{\n{\nreturn 1u;\n}}}\nfn g() {}");
  EXPECT_EQ(folded("for (;;) {\nif (ON) {\na();\ncontinue;\n}\nb();\n}\nc();"),
            "for (;;) {\n{\na();\ncontinue;\n}}\nc();");
  EXPECT_EQ(folded("if (ON) {\nif (x) {\nreturn;\n}\n}\na();"), "{\nif (x) {\nreturn;\n}\n}\na();");
  EXPECT_EQ(folded("if (x) {\na();\n} else if (ON) {\nreturn;\n}\nb();"), "if (x) {\na();\n} else {\nreturn;\n}\nb();");
}

TEST(FoldControlFlow, ConstantsOfFunctionsAreNone) {
  EXPECT_EQ(folded("fn f() {\nconst ON = false;\nconst OWN = 1u;\n}\nfn g() {\nif (ON) {\na();\n}\nif (OWN == 1u) "
                   "{\nb();\n}\n}"),
            "fn f() {\nconst ON = false;\nconst OWN = 1u;\n}\nfn g() {\n{\na();\n}\nif (OWN == 1u) {\nb();\n}\n}");
}

TEST(FoldControlFlow, LoopsOfOneRoundOrTwoAreWrittenOut) {
  EXPECT_EQ(folded("for (var i = 0u; i < HALF / 3u; i++) {\na(i);\n}\nb();"), "{\nconst i = 0u;\na(i);\n}\nb();");
  EXPECT_EQ(folded("for (var i = 0u; i < SIX / HALF; i++) {\nif (i == 1u) {\na();\n} else {\nb();\n}\n}"),
            "{\nconst i = 0u;\n{\nb();\n}\n}{\nconst i = 1u;\n{\na();\n}\n}");
  for (const char* text :
       {"for (var i = 0u; i < HALF; i++) {\na(i);\n}", "for (var i = 0u; i < x; i++) {\na(i);\n}",
        "for (var i = 1u; i < 2u; i++) {\na(i);\n}", "for (var i = 0u; i < 2u; i += 2u) {\na(i);\n}",
        "for (var i = 0u; i < 0u; i++) {\na(i);\n}", "for (var i = 0u; i < 2u; i++) {\nif (x) {\nbreak;\n}\n}",
        "for (var i = 0u; i < 2u; i++) {\nif (x) {\ncontinue;\n}\n}", "for (;;) {\na();\n}",
        "for (var i = 0u; i < 2u; i++) {\nfor (var j = 0u; j < 3u; j++) {\na();\n}\n}",
        "for (var i = 0u; i < 1u; i++) {\nlet i = x;\nif (i == 0u) {\na();\n}\n}"})
    EXPECT_EQ(folded(text), text);
}

TEST(FoldControlFlow, NamesOfLoopsEndWithThem) {
  EXPECT_EQ(folded("for (var i = 0u; i < 1u; i++) {\na();\n}\nif (i == 0u) {\nb();\n}"),
            "{\nconst i = 0u;\na();\n}\nif (i == 0u) {\nb();\n}");
}

}  // namespace
}  // namespace pronk::kernels
