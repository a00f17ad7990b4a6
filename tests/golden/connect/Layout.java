// A list of cases as text: one line for each member of a case.

import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.core.util.Separators.Spacing;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.io.IOException;
import java.util.Map;

class Layout {
    static String write(ArrayNode cases) throws IOException {
        StringBuilder text = new StringBuilder("[");
        for (JsonNode each : cases) {
            text.append(text.length() == 1 ? "\n  {" : ",\n  {");
            String comma = "";
            for (Map.Entry<String, JsonNode> member : each.properties()) {
                text.append(comma).append("\n    \"").append(member.getKey()).append("\": ");
                text.append(line(member.getValue()));
                comma = ",";
            }
            text.append("\n  }");
        }
        return text.append("\n]\n").toString();
    }

    static String line(JsonNode json) throws IOException {
        Separators separators = Separators.createDefaultInstance()
                .withObjectFieldValueSpacing(Spacing.AFTER)
                .withObjectEntrySpacing(Spacing.AFTER)
                .withArrayValueSpacing(Spacing.AFTER)
                .withObjectEmptySeparator("")
                .withArrayEmptySeparator("");
        DefaultPrettyPrinter printer = new DefaultPrettyPrinter(separators);
        printer.indentObjectsWith(DefaultPrettyPrinter.NopIndenter.instance);
        printer.indentArraysWith(DefaultPrettyPrinter.NopIndenter.instance);
        return Golden.JSON.writer(printer).writeValueAsString(json);
    }
}
