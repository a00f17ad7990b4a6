// Values in the files. With a schema, it says what a JSON value stands for; without, JSON's
// types are what JsonConverter makes of them, and `types` names the others, by their path.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Time;
import org.apache.kafka.connect.data.Timestamp;

class ValueForm {
    final ObjectNode types;

    ValueForm(JsonNode types) {
        this.types = types == null ? Golden.NODES.objectNode() : (ObjectNode) types;
    }

    Object read(Schema schema, JsonNode json, String path) {
        if (json.isNull() || json.isMissingNode()) {
            return null;
        } else if (schema != null) {
            return read(schema, json);
        } else if (types.has(path)) {
            return scalar(types.get(path).textValue(), json);
        } else if (json.isObject()) {
            Map<String, Object> map = new LinkedHashMap<>();
            json.properties().forEach(field -> map.put(field.getKey(),
                    read(null, field.getValue(), inside(path, field.getKey()))));
            return map;
        } else if (json.isArray()) {
            List<Object> list = new ArrayList<>();
            json.forEach(item -> list.add(read(null, item, path + "[" + list.size() + "]")));
            return list;
        }
        return json.isIntegralNumber() ? json.longValue() : scalar(json.isNumber() ? "float64"
                : json.isBoolean() ? "boolean" : "string", json);
    }

    Object read(Schema schema, JsonNode json) {
        switch (schema.type()) {
            case STRUCT:
                Struct struct = new Struct(schema);
                for (Field field : schema.fields()) {
                    struct.put(field, read(field.schema(), json.path(field.name()), ""));
                }
                return struct;
            case MAP:
                Map<String, Object> map = new LinkedHashMap<>();
                json.properties().forEach(field -> map.put(field.getKey(),
                        read(schema.valueSchema(), field.getValue(), "")));
                return map;
            case ARRAY:
                List<Object> list = new ArrayList<>();
                json.forEach(item -> list.add(read(schema.valueSchema(), item, "")));
                return list;
            default:
                return scalar(logical(schema) == null ? schema.type().getName() : logical(schema), json);
        }
    }

    /** `decimal`, `date`, `time`, `timestamp`, or null for a schema without such a name. */
    static String logical(Schema schema) {
        return schema.name() == null ? null : switch (schema.name()) {
            case Decimal.LOGICAL_NAME -> "decimal";
            case org.apache.kafka.connect.data.Date.LOGICAL_NAME -> "date";
            case Time.LOGICAL_NAME -> "time";
            case Timestamp.LOGICAL_NAME -> "timestamp";
            default -> null;
        };
    }

    static Object scalar(String type, JsonNode json) {
        String text = json.asText();
        return switch (type) {
            case "boolean" -> json.booleanValue();
            case "int8" -> Byte.valueOf(text);
            case "int16" -> Short.valueOf(text);
            case "int32" -> Integer.valueOf(text);
            case "int64" -> Long.valueOf(text);
            case "float32" -> Float.valueOf(text);
            case "float64" -> Double.valueOf(text);
            case "string" -> text;
            case "bytes" -> ByteBuffer.wrap(Base64.getDecoder().decode(text));
            case "decimal" -> new BigDecimal(text);
            case "date" -> Date.from(LocalDate.parse(text).atStartOfDay().toInstant(ZoneOffset.UTC));
            case "time" -> new Date(TimeUnit.NANOSECONDS.toMillis(LocalTime.parse(text).toNanoOfDay()));
            case "timestamp" -> Date.from(Instant.parse(text));
            default -> throw new IllegalArgumentException("no type " + type);
        };
    }

    JsonNode write(Schema schema, Object value, String path) {
        if (value instanceof Struct struct) {
            ObjectNode object = Golden.NODES.objectNode();
            for (Field field : struct.schema().fields()) {
                object.set(field.name(), write(field.schema(), struct.getWithoutDefault(field.name()), ""));
            }
            return object;
        } else if (value instanceof Map<?, ?> map) {
            ObjectNode object = Golden.NODES.objectNode();
            Schema inner = schema == null ? null : schema.valueSchema();
            new TreeMap<>(map).forEach((name, item) -> object.set((String) name,
                    write(inner, item, inside(path, (String) name))));
            return object;
        } else if (value instanceof List<?> list) {
            ArrayNode array = Golden.NODES.arrayNode();
            Schema inner = schema == null ? null : schema.valueSchema();
            list.forEach(item -> array.add(write(inner, item, path + "[" + array.size() + "]")));
            return array;
        }
        String type = type(value);
        if (schema == null && type != null) {
            types.put(path, type);
        }
        return text(schema == null ? type : logical(schema), value);
    }

    /** The name of what JSON has no type for. */
    static String type(Object value) {
        return value instanceof Byte ? "int8"
                : value instanceof Short ? "int16"
                : value instanceof Integer ? "int32"
                : value instanceof Float ? "float32"
                : value instanceof ByteBuffer || value instanceof byte[] ? "bytes"
                : value instanceof BigDecimal ? "decimal"
                : value instanceof Date ? "timestamp" : null;
    }

    static JsonNode text(String type, Object value) {
        if (value instanceof Date date) {
            Instant instant = date.toInstant();
            return Golden.NODES.textNode(switch (type) {
                case "date" -> instant.atOffset(ZoneOffset.UTC).toLocalDate().toString();
                case "time" -> LocalTime.ofInstant(instant, ZoneOffset.UTC).toString();
                default -> instant.toString();
            });
        } else if (value instanceof ByteBuffer bytes) {
            return Golden.NODES.textNode(Base64.getEncoder().encodeToString(bytes.array()));
        } else if (value instanceof BigDecimal decimal) {
            return Golden.NODES.textNode(decimal.toPlainString());
        }
        return value == null ? Golden.NODES.nullNode() : Golden.NODES.pojoNode(value);
    }

    static String inside(String path, String field) {
        return path.isEmpty() ? field : path + "." + field;
    }
}
